#!/usr/bin/env bash
# A jsonl.gz of many lines through the whole road: peak memory and rate. Usage: stream.sh [LINES] [PROGRAM]
# Prints one line for docs/benchmarks/README.md. Needs python3 and /usr/bin/time.
set -euo pipefail
lines=${1:-10000000}
program=${2:-target/release/instil}
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT

python3 - "$lines" <<'P' | gzip -1 > "$work/lines.jsonl.gz"
import sys
for i in range(int(sys.argv[1])):
    print('{"id": %d, "text": "Survey %d of Lake Orrin was led by Ada Brandt in %d. The team counted %d herons."}'
          % (i, i, 1900 + i % 100, 12 + i % 900))
P
/usr/bin/time -f '%e %M' -o "$work/time" "$program" generate "$work/lines.jsonl.gz" -o "$work/out" --task exqa -q
read -r seconds kilobytes < "$work/time"
kept=$(python3 -c "import json,sys; print(json.load(open(sys.argv[1]))['rows'])" "$work/out/run/report.json")
rate=$(python3 -c "print(round($lines / $seconds))")
echo "$(date -u +%F), $(nproc) processors: $lines lines, $kept rows, $seconds s, $rate lines/s, peak $((kilobytes / 1024)) MiB"
