#!/usr/bin/env bash
# docs/benchmarks/rows.sh [ROWS] [INSTIL]: labelled rows through a whole `apply` and a whole `remix`, to parquet: rows a
# second and peak memory. The rows are made on the fly, some 300 characters each, and read from a pipe.
set -euo pipefail
rows=${1:-10000000}
cd "$(dirname "$0")/../.."
instil=$(realpath "${2:-target/release/instil}")
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
cat > "$folder/rows.awk" <<'AWK'
BEGIN {
  for (i = 0; i < n; i++)
    printf "{\"id\": \"r%d\", \"clause\": \"Clause %d: the party of the %dth part keeps the wheel, the race and the %d gates of the mill in repair, and tells the miller %d days before any work that stops the water. What the work costs is shared as the yield of the year before was shared.\", \"question\": \"How many gates does clause %d name?\", \"answer\": \"the %d gates\", \"topic\": %d}\n", i, i, i % 97, i % 31, i % 60, i, i % 31, i % 9
}
AWK
"$instil" --version
for verb in apply remix; do
  began=$(date +%s.%N)
  awk -v n="$rows" -f "$folder/rows.awk" |
    /usr/bin/env time -f '%M' -o "$folder/memory" \
      "$instil" "$verb" - --templates recipes/leases/templates.yaml -o "$folder/$verb" -q
  ended=$(date +%s.%N)
  kept=$(grep -m1 '"rows"' "$folder/$verb/run/report.json" | tr -dc 0-9)
  awk -v v=$verb -v n="$rows" -v s="$(echo "$ended $began" | awk '{print $1 - $2}')" -v m="$(cat "$folder/memory")" -v k="$kept" \
    'BEGIN { printf "%s: %d rows in %.1f s, %d rows/s, peak %d MiB, %d rows kept\n", v, n, s, n / s, m / 1024, k }'
done
