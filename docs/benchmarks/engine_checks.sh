#!/usr/bin/env bash
# docs/benchmarks/engine_checks.sh FOLDER [INSTIL [THROUGHPUT]]: what tests show on small models, on one of 125M parameters.
#
# FOLDER holds 125m-f32/, 125m-q8_0.gguf, 125m-q4_k.gguf and prompts.json, as docs/benchmarks/engine.py leaves them in
# target/engine. For f32, Q8_0, Q4_K (its head is Q6_K) and f32 held as q4_k (with Q6_K): the log-likelihoods of 48
# prompts and the greedy tokens after them have one hash for 1, 8 and 64 sequences, 1 and 2 threads, and steps of 256 and 40
# rows. Then `generate` is killed (-9) at five moments and continued, of each format: the rows are those of a run left alone.
set -euo pipefail
folder=$(realpath "${1:?usage: docs/benchmarks/engine_checks.sh FOLDER [INSTIL [THROUGHPUT]]}")
instil=$(realpath "${2:-target/release/instil}")
throughput=$(realpath "${3:-target/release/examples/throughput}")
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT

python3 - "$folder/prompts.json" "$work" <<'PYTHON'
import json, sys
prompts, work = json.load(open(sys.argv[1]))[:48], sys.argv[2]
json.dump(prompts, open(f"{work}/prompts.json", "w"))
with open(f"{work}/texts.jsonl", "w") as out:
    for prompt in prompts:
        print(json.dumps({"text": prompt["text"][:400]}), file=out)
PYTHON

failed=0
check() { # NAME MODEL QUANTIZE
  local hashes
  hashes=$(for how in "--sequences 1 --threads 1" "--sequences 8" "--sequences 64 --threads 1" "--sequences 64 --rows 40"; do
    # shellcheck disable=SC2086
    { "$throughput" "$2" "$work/prompts.json" --quantize "$3" --score $how
      "$throughput" "$2" "$work/prompts.json" --quantize "$3" --new 8 $how; } | sed 's/.*"hash":"\([0-9a-f]*\)".*/\1/' | tr '\n' ' '
    echo
  done | sort -u)
  if [ "$(wc -l <<<"$hashes")" = 1 ]; then echo "$1: one hash of log-likelihoods and one of tokens: $hashes"
  else echo "$1: BITS DIFFER: $hashes"; failed=1; fi

  rm -rf "$work"/straight "$work"/killed
  generate() { "$instil" generate "$work/texts.jsonl" --model "$2" --quantize "$3" --task qa,nli --max-tokens 12 -o "$1" -q || true; }
  local began=$SECONDS
  generate "$work/straight" "$2" "$3"
  local seconds=$((SECONDS - began))
  for part in 1 3 5 7 9; do
    generate "$work/killed" "$2" "$3" &
    sleep "$(awk "BEGIN { print $seconds * $part / 10 }")"
    pkill -9 -f "$work/killed" || true
    wait
  done
  generate "$work/killed" "$2" "$3"
  if cmp -s "$work/straight/run/rejects.parquet" "$work/killed/run/rejects.parquet" &&
    diff -rq "$work/straight/data" "$work/killed/data"; then echo "$1: killed five times in ${seconds} s, same bytes"
  else echo "$1: BYTES DIFFER AFTER A KILL"; failed=1; fi
}
check f32 "$folder/125m-f32" none
check q8_0 "$folder/125m-q8_0.gguf" auto
check q4_k "$folder/125m-q4_k.gguf" auto
check "q4_k of f32, with q6_k" "$folder/125m-f32" q4_k
exit $failed
