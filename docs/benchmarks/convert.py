#!/usr/bin/env python3
"""One dataset from one format into another, by instil and by Data-Juicer's own conversion scripts, in one run.

    docs/benchmarks/convert.sh [GB] [INSTIL]

makes the Python for it, fetches the package py-data-juicer, whose `tools/fmt_conversion` holds the scripts, and calls
this file. The rows are OpenAI's messages, made from a seed: one to three rounds, a third with a system's turn, some
letters beyond ASCII. Data-Juicer goes from every format to its own, and from there to every other, so that

- messages -> ShareGPT is two of its scripts, `messages_to_dj` and `dj_to_llama_factory_sharegpt`;
- messages -> its own query, response and history is the first alone. instil's `llamafactory-alpaca` has the same parts.

Its scripts read a JSON array whole, instil reads the same rows as JSON lines; each writes what the other reads on. Rows
are compared before a figure is printed. Seconds are wall time, memory is the peak of the process (`ru_maxrss`).
"""

import argparse
import json
import os
import random
import resource
import subprocess
import sys
import tempfile
import time
from datetime import datetime, timezone
from pathlib import Path

WORDS = (
    "the mill wheel turns while water runs in race and gates are kept repair each autumn grain comes from farms upstream "
    "miller weighs it grinds sells flour weir holds back pond notice must be given before any work that stops stream "
    "naïve Ärger œuvre 水車 мельница"
).split()
COMPARED = 2000


def text(draw, words):
    return " ".join(draw.choices(WORDS, k=words)) + draw.choice([".", "?", "!\n", '."', ""])


def make(folder, size):
    """The same rows as JSON lines and as an array; how many there are."""
    draw = random.Random(7)
    rows = 0
    lines, array = folder / "messages.jsonl", folder / "messages.json"
    with lines.open("w", encoding="utf-8") as as_lines, array.open("w", encoding="utf-8") as as_array:
        as_array.write("[")
        while rows % 1000 or as_lines.tell() < size:
            turns = [{"role": "system", "content": text(draw, 12)}] if rows % 3 == 0 else []
            for _ in range(1 + rows % 3):
                turns.append({"role": "user", "content": text(draw, draw.randint(5, 60))})
                turns.append({"role": "assistant", "content": text(draw, draw.randint(20, 160))})
            row = json.dumps({"messages": turns}, ensure_ascii=False)
            as_lines.write(row + "\n")
            as_array.write(("," if rows else "") + row)
            rows += 1
        as_array.write("]")
    return lines, array, rows


def run(*command, cwd=None):
    """Seconds and peak MiB of a command that has to succeed."""
    began = time.monotonic()
    child = subprocess.Popen([str(part) for part in command], cwd=cwd, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True)
    said = child.stderr.read()
    _, status, usage = os.wait4(child.pid, 0)
    child.returncode = os.waitstatus_to_exitcode(status)
    if child.returncode != 0:
        sys.exit(f"{' '.join(map(str, command))}: {child.returncode}\n{said[-3000:]}")
    return time.monotonic() - began, usage.ru_maxrss / 1024


def first(path):
    """The first rows of JSON lines."""
    with path.open(encoding="utf-8") as lines:
        return [json.loads(line) for line, _ in zip(lines, range(COMPARED), strict=False)]


def main():
    parse = argparse.ArgumentParser()
    parse.add_argument("--instil", required=True, type=Path)
    parse.add_argument("--scripts", required=True, type=Path, help="Data-Juicer's tools/fmt_conversion/post_tuning_dialog")
    parse.add_argument("--gb", type=float, default=1.0)
    parse.add_argument("--log", type=Path)
    args = parse.parse_args()
    instil = args.instil.resolve()
    into, out_of = args.scripts / "source_format_to_data_juicer_format", args.scripts / "data_juicer_format_to_target_format"

    with tempfile.TemporaryDirectory(prefix="convert-") as folder:
        folder = Path(folder)
        lines, array, rows = make(folder, args.gb * 1e9)
        size = lines.stat().st_size

        ours = run(instil, "convert", lines, "--to", "sharegpt", "-o", folder / "ours.jsonl", "-q")
        ours_one = run(instil, "convert", lines, "--to", "llamafactory-alpaca", "-o", folder / "ours_one.jsonl", "-q")
        there = run(sys.executable, "messages_to_dj.py", array, folder / "dj.jsonl", cwd=into)
        back = run(
            sys.executable, "dj_to_llama_factory_sharegpt.py", folder / "dj.jsonl", folder / "dj.json", "--human_role=human",
            "--assistant_role=gpt", cwd=out_of,
        )

        theirs = json.loads((folder / "dj.json").read_text(encoding="utf-8"))
        assert len(theirs) == rows == sum(1 for _ in (folder / "ours.jsonl").open("rb"))
        for mine, other in zip(first(folder / "ours.jsonl"), theirs, strict=False):
            assert mine["conversations"] == other["conversations"], (mine, other)
        for mine, other in zip(first(folder / "ours_one.jsonl"), first(folder / "dj.jsonl"), strict=True):
            parts = (mine["instruction"], mine["output"], mine.get("history", []), mine.get("system", ""))
            assert parts == (other["query"], other["response"], other["history"], other["system"]), (mine, other)

    version = subprocess.run([instil, "--version"], capture_output=True, text=True, check=True).stdout.strip()
    two = (there[0] + back[0], max(there[1], back[1]))
    said = [
        f"{datetime.now(timezone.utc):%Y-%m-%d %H:%M UTC}, {version}, {os.cpu_count()} processors, "
        f"{rows} rows, {size / 1e9:.2f} GB of JSON lines",
        f"  messages -> ShareGPT:        instil {ours[0]:6.1f} s, peak {ours[1]:6.0f} MiB, {size / 1e6 / ours[0]:.0f} MB/s; "
        f"Data-Juicer {two[0]:6.1f} s, peak {two[1]:6.0f} MiB; {two[0] / ours[0]:.1f} times as fast",
        f"  messages -> query, response: instil {ours_one[0]:6.1f} s, peak {ours_one[1]:6.0f} MiB, {size / 1e6 / ours_one[0]:.0f} MB/s; "
        f"Data-Juicer {there[0]:6.1f} s, peak {there[1]:6.0f} MiB; {there[0] / ours_one[0]:.1f} times as fast",
    ]
    print("\n".join(said))
    if args.log:
        with args.log.open("a", encoding="utf-8") as log:
            log.write("\n".join(said) + "\n\n")


if __name__ == "__main__":
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    main()
