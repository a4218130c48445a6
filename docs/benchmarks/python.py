#!/usr/bin/env python3
"""docs/benchmarks/python.py INSTIL [--rows N] [--rounds N]: what a call from Python costs beside the program.

The same work, a million rows by default, from the same release build. The program reads a Parquet file and writes a Parquet
dataset. Python gives a `pyarrow.Table` and takes one: reading the file is not in its time, making the table of what came out
is. Rounds alternate; the least time of each side counts. Needs the wheel of that build and pyarrow. Prints a line a job, and
appends all of them to python.log with date and machine.
"""

import argparse
import os
import platform
import subprocess
import tempfile
import time
from datetime import datetime, timezone
from pathlib import Path

import instil
import pyarrow as pa
import pyarrow.parquet as pq

TEMPLATE = """dataset: reviews
templates:
  3f5e:
    !Template
    answer_choices: good ||| bad
    id: 3f5e
    jinja: "{{ text }} Is it good or bad? ||| {{ answer_choices[label] }}"
    name: good_or_bad
    reference: ''
    metadata: !TemplateMetadata {original_task: true, metrics: [], choices_in_prompt: true, languages: [en]}
"""


def timed(work):
    began = time.perf_counter()
    work()
    return time.perf_counter() - began


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("instil")
    parser.add_argument("--rows", type=int, default=1_000_000)
    parser.add_argument("--rounds", type=int, default=3)
    asked = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        lines = list(measure(asked, Path(folder)))
    head = f"{datetime.now(timezone.utc):%Y-%m-%d %H:%M UTC}  {platform.machine()}, {os.cpu_count()} processors, load {os.getloadavg()[0]:.1f}"
    with Path(__file__).with_suffix(".log").open("a", encoding="utf-8") as log:
        log.write("\n  ".join([head, *lines]) + "\n")


def measure(asked, folder):
    texts = [f"Review {n}: the film was {'fine' if n % 2 else 'dull'}, and it was {n % 180} minutes long." for n in range(asked.rows)]
    reviews = pa.table({"text": texts, "label": [n % 2 for n in range(asked.rows)]})
    pairs = pa.table({"prompt": texts, "completion": [f" {n}" for n in range(asked.rows)]})
    for name, table in (("reviews", reviews), ("pairs", pairs)):
        pq.write_table(table, folder / f"{name}.parquet")
    (folder / "templates.yaml").write_text(TEMPLATE)
    options = ["--templates", folder / "templates.yaml", "--dataset", "reviews"]
    jobs = {
        "apply, a template over labelled rows": (
            ["apply", folder / "reviews.parquet", *options],
            lambda: instil.apply(reviews, templates=folder / "templates.yaml", dataset="reviews").rows,
        ),
        "convert, pairs to messages": (
            ["convert", folder / "pairs.parquet", "--to", "messages"],
            lambda: instil.convert(pairs, to="messages").rows,
        ),
        "cook mcqa": (
            ["cook", "mcqa", "--rows", str(asked.rows)],
            lambda: instil.cook("mcqa", rows=asked.rows).rows,
        ),
    }
    for name, (command, call) in jobs.items():
        ending = ".jsonl" if command[0] == "convert" else ""
        times = {"program": [], "python": []}
        for number in range(asked.rounds):
            out = folder / f"out-{command[0]}-{number}{ending}"
            run = [asked.instil, *map(str, command), "-o", str(out), "-q"]
            times["program"].append(timed(lambda: subprocess.run(run, check=True)))
            made = []
            times["python"].append(timed(lambda: made.append(call())))
            assert made[0].num_rows == asked.rows
            del made
        program, python = (min(times[side]) for side in ("program", "python"))
        line = f"{name}, {asked.rows} rows: program {program:.2f} s, Python {python:.2f} s ({100 * (python / program - 1):+.1f} %)"
        print(line, flush=True)
        yield line


if __name__ == "__main__":
    main()
