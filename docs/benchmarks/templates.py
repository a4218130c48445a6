#!/usr/bin/env python3
"""Renderings a second: PromptSource's templates, by the Python package, by Jinja2 alone, and by instil.

    target/peers-venv/bin/python docs/benchmarks/templates.py --templates TEMPLATES

`tests/peers/run` makes that Python and fetches the package. TEMPLATES is PromptSource's folder of template
files. The rows are those of the template engine's goldens, and each template is rendered on every row of its
dataset on which it renders. Measured one after the other in one run, in memory, nothing written:

- promptsource: the package as it is. `Template.apply` compiles the template, and its choices, at every call.
- jinja2, compiled once: what the package does, without its waste. The same environment, each template and its
  choices compiled before the clock starts, the bars in the rows' texts protected before the clock starts; then
  choices, rendering, splitting, stripping.
- instil: crates/instil/benches/templates.rs, which prepares templates and rows before its clock starts too.

Each with one process (thread), and with two. Python's processes share nothing while the clock runs.
"""

import argparse
import copy
import gzip
import json
import multiprocessing
import os
import platform
import random
import subprocess
import sys
import tempfile
import time
from datetime import datetime, timezone
from importlib.metadata import version
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
sys.dont_write_bytecode = True
sys.path.insert(0, str(ROOT / "tests" / "peers"))

import promptsource_goldens  # noqa: E402 - found only now


class Once:
    """A template compiled once."""

    def __init__(self, module, template, truncate):
        source = template.jinja
        if truncate:
            source = source.replace("}}", f" | string | truncate({module.TEXT_VAR_LENGTH}) }}}}")
        self.template = module.env.from_string(source)
        expression = template.get_answer_choices_expr()
        self.choices = module.env.from_string(expression) if expression is not None else None
        self.guard = module.Template.pipe_protector

    def render(self, fields):
        choices = None
        if self.choices is not None:
            given = self.choices.render(fields).split("|||")
            choices = [one.strip().replace(self.guard, "|||") for one in given]
        text = self.template.render(fields, answer_choices=choices)
        return [part.replace(self.guard, "|||").strip() for part in text.split("|||")]


def pairs_of(module, rows, truncate):
    """(promptsource's template, compiled, row, protected row) of all that renders; how many don't."""
    pairs, faults, changing = [], 0, 0
    for key, collection in promptsource_goldens.in_order(module):
        for template in collection.templates.values():
            once = Once(module, template, truncate)
            for row in rows[key]:
                before = copy.deepcopy(row)
                fields = module.Template._escape_pipe(row)
                said = promptsource_goldens.render(template, row, truncate)
                if "error" in said:
                    faults += 1
                    continue
                # What drew isn't compared: Jinja2 draws from constant lists while it compiles, so that a
                # template compiled once has drawn once and for all.
                parts = once.render(fields)
                assert said["draws"] or parts == said["parts"], f"{key}, {template.name}: not the same"
                if row != before:
                    # The template took something out of the row's own lists: no second rendering is like the first.
                    row.clear()
                    row.update(before)
                    changing += 1
                    continue
                pairs.append((template, once, row, fields))
    random.Random(7).shuffle(pairs)
    return pairs, faults, changing


def as_it_is(pair, truncate):
    pair[0].apply(pair[2], truncate=truncate)


def compiled_once(pair, truncate):
    pair[1].render(pair[3])


def work(call, pairs, truncate, seconds, first, step, start, answer):
    """Renders pairs first, first + step, … again and again for some seconds."""
    start.wait()
    count, at, began = 0, first, time.perf_counter()
    while True:
        # The clock is read every 64 renderings.
        for _ in range(64):
            try:
                call(pairs[at], truncate)
            except Exception:  # noqa: BLE001 - a template may raise on what `choice` drew; it took its time
                pass
            at = (at + step) % len(pairs)
        count += 64
        if (took := time.perf_counter() - began) >= seconds:
            break
    answer.send(count / took)


def rate(call, pairs, truncate, seconds, processes):
    """Renderings a second by so many processes. Forked: nothing is copied while the clock runs."""
    context = multiprocessing.get_context("fork")
    start, ends, workers = context.Barrier(processes), [], []
    for first in range(processes):
        receive, send = context.Pipe(duplex=False)
        arguments = (call, pairs, truncate, seconds, first, processes, start, send)
        workers.append(context.Process(target=work, args=arguments))
        ends.append(receive)
    for worker in workers:
        worker.start()
    total = sum(end.recv() for end in ends)
    for worker in workers:
        worker.join()
    return total


def instil(command, templates, rows, truncate):
    """{threads: renderings a second} and what else the benchmark of the crate says."""
    arguments = [*command, str(templates.resolve()), str(rows), *(["--truncate"] if truncate else [])]
    done = subprocess.run(arguments, cwd=ROOT, stdout=subprocess.PIPE, text=True, check=True)
    said = [json.loads(line) for line in done.stdout.splitlines() if line.startswith("{")]
    return {one["threads"]: one["renders_per_s"] for one in said}, said[-1]


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--templates", type=Path, required=True, help="PromptSource's folder templates/")
    parser.add_argument("--package", type=Path, default=ROOT / "target" / "peers-promptsource", help="folder with the sdist")
    parser.add_argument("--rows", type=Path, default=promptsource_goldens.GOLDENS / "corpus-rows.jsonl.gz")
    parser.add_argument("--seconds", type=float, default=5.0, help="for each of Python's figures")
    parser.add_argument(
        "--instil",
        default="cargo bench --quiet -p instil --bench templates --",
        help="the command before TEMPLATES ROWS [--truncate]; empty: leave instil out",
    )
    arguments = parser.parse_args()

    module = promptsource_goldens.load_package(arguments.package, arguments.templates)
    text = gzip.decompress(arguments.rows.read_bytes())
    rows = {line["dataset"]: line["rows"] for line in map(json.loads, text.splitlines())}
    libraries = ", ".join(f"{name} {version(name)}" for name in ("jinja2", "markupsafe", "pyyaml"))
    print(f"{datetime.now(timezone.utc):%Y-%m-%d}, {platform.machine()}, {os.cpu_count()} processors, ", end="")
    print(f"promptsource 0.2.3, python {platform.python_version()}, {libraries}\n")
    for truncate in (False, True):
        pairs, faults, changing = pairs_of(module, rows, truncate)
        print(f"Truncation {'on' if truncate else 'off'}: {len(pairs):,} pairs of template and row; left out: ", end="")
        print(f"{faults:,} that do not render, {changing} that change their row\n", flush=True)
        found = {}
        for processes in (1, 2):
            found["promptsource", processes] = rate(as_it_is, pairs, truncate, arguments.seconds, processes)
            found["jinja2, compiled once", processes] = rate(compiled_once, pairs, truncate, arguments.seconds, processes)
        said = None
        if arguments.instil:
            with tempfile.NamedTemporaryFile(suffix=".jsonl") as plain:
                plain.write(text)
                plain.flush()
                rates, said = instil(arguments.instil.split(), arguments.templates, plain.name, truncate)
            found.update({("instil", threads): figure for threads, figure in rates.items()})
        print("| what | processes or threads | renderings/s | x promptsource | x jinja2, compiled once |")
        print("|---|---|---|---|---|")
        for (what, count), figure in found.items():
            times = [figure / found[other, count] for other in ("promptsource", "jinja2, compiled once")]
            print(f"| {what} | {count} | {figure:,.0f} | {times[0]:.1f} | {times[1]:.2f} |")
        print(f"\ninstil: {json.dumps(said)}\n" if said else "", flush=True)


if __name__ == "__main__":
    main()
