#!/usr/bin/env bash
# docs/benchmarks/convert.sh [GB] [INSTIL]: instil and Data-Juicer's conversion scripts on the same rows; convert.py says
# how. Needs Python 3.10 or newer and PyPI, and some ten times the rows as memory, which Data-Juicer takes. What is found is
# appended to docs/benchmarks/convert.log.
set -euo pipefail
gb=${1:-1}
cd "$(dirname "$0")/../.."
instil=$(realpath "${2:-target/release/instil}")
folder=target/peers-data-juicer
[ -x $folder/venv/bin/python ] || python3 -m venv $folder/venv
$folder/venv/bin/pip install --quiet --disable-pip-version-check fire==0.7.1 jsonlines==4.0.0 loguru==0.7.3 tqdm
# The whole package wants torch and much else; its scripts for formats are files of their own.
$folder/venv/bin/pip download --quiet --disable-pip-version-check --no-deps --only-binary :all: --dest $folder py-data-juicer==1.6.1
$folder/venv/bin/python -m zipfile -e $folder/py_data_juicer-1.6.1-py3-none-any.whl $folder/package
exec $folder/venv/bin/python docs/benchmarks/convert.py --gb "$gb" --instil "$instil" \
  --scripts $folder/package/tools/fmt_conversion/post_tuning_dialog --log docs/benchmarks/convert.log
