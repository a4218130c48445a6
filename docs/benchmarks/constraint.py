#!/usr/bin/env python3
"""Milliseconds a step takes with and without a constraint.

    python3 docs/benchmarks/constraint.py MODEL PROMPTS.json [--count 4] [--new 96] [--temperature 0] [--rounds 2]

MODEL and PROMPTS.json are those that docs/benchmarks/engine.py makes below target/engine. One text at a time and nothing
guessed, so that a piece of text is a step; two threads; the best of the rounds, in which all take turns. `pair` is an
instruction of exqa before its pipe, `span` its response, words of the passage; `labels` the response of nli, one of the
labels; `choice` one of four long texts. The tables that texts share are made when the first is asked for and are in no
step. Run it when nothing else runs.
"""

import argparse
import json
import os
import subprocess
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
TARGET = Path(os.environ.get("CARGO_TARGET_DIR", ROOT / "target"))
KINDS = {"nothing": None, "exqa": "exqa", "nli": "nli", "choice": "choice"}
# A row of the table: which run it is of, and whether of the steps before a pipe or after it.
ROWS = {"nothing": ("nothing", 0), "pair": ("exqa", 0), "span": ("exqa", 1), "labels": ("nli", 1), "choice": ("choice", 0)}


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("model", type=Path)
    parser.add_argument("prompts", type=Path)
    parser.add_argument("--count", type=int, default=4)
    parser.add_argument("--new", type=int, default=96)
    parser.add_argument("--temperature", type=float, default=0.0)
    parser.add_argument("--rounds", type=int, default=2)
    parser.add_argument("--program", type=Path, default=TARGET / "release" / "examples" / "throughput")
    arguments = parser.parse_args()
    few = TARGET / "constraint-prompts.json"
    few.write_text(json.dumps(json.loads(arguments.prompts.read_text("utf-8"))[: arguments.count]), encoding="utf-8")
    usual = [arguments.program, arguments.model, few, "--new", arguments.new, "--threads", 2, "--sequences", 1]
    usual += ["--no-speculation", "--temperature", arguments.temperature]
    said = {name: [] for name in KINDS}
    for _ in range(arguments.rounds):
        for name, kind in KINDS.items():
            command = [*usual, *(["--constrain", kind] if kind else [])]
            done = subprocess.run([*map(str, command)], capture_output=True, text=True, check=True)
            said[name].append(json.loads(done.stdout.splitlines()[-1]))
    best = {}
    for row, (name, part) in ROWS.items():
        best[row] = min((one["step_ms"][part] for one in said[name] if one["step_ms"][part] is not None), default=None)
    for row, milliseconds in best.items():
        figure = "no step" if milliseconds is None else f"{milliseconds:.3f} ms a step ({milliseconds - best['nothing']:+.3f})"
        print(f"{row:8} {figure}")


if __name__ == "__main__":
    main()
