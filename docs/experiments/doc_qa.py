#!/usr/bin/env python3
"""Does a small decoder learn a rule from `instil cook`? Trained on `doc_qa` from random weights, beside a control whose
answers are shuffled among the rows.

    cargo build --release && cargo build --release -p instil --example curves
    python3 docs/experiments/doc_qa.py OUT [--rows 400000] [--instil target/release/instil]

Both have the model of recipes/doc_qa/model.json, the same prompts, order and settings. The learning curve is the loss of
held-out rows (of the split validation), `OUT/curve.svg`; what counts at the end is the exact match on the 1,000 samples
of recipes/doc_qa/benchmark.yaml, which are of the split test under another seed. A quarter of the rows has
shorter documents, from 12..16 words up; training mixes them with the others. Interrupted, it goes on where it was. Prints a table in Markdown. Python's own
library.
"""

import argparse
import json
import os
import random
import subprocess
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
SETTINGS = {
    "--steps": 6000,
    "--batch-size": 64,
    "--learning-rate": "2e-3",
    "--warmup-ratio": "3%",
    "--schedule": "cosine",
    "--weight-decay": 0.01,
    "--seed": 1,
    "--validation": "0.25%",
    "--validate-every": 200,
    "--pass-tokens": 4096,
}


def run(program, *words):
    subprocess.run([str(program), *map(str, words)], check=True, cwd=ROOT)


def cook(program, out, rows):
    """Rows of rising difficulty, then as many of the full one; then the same with shuffled answers."""
    knobs = ["--pool-words", 256, "--wording", "bare", "-q"]
    easy, full = out / "easy.jsonl", out / "full.jsonl"
    if not easy.exists():
        start, end = ["--set", "doc_qa.doc_len=12..16"], ["--until", "doc_qa.doc_len=30..60"]
        run(program, "cook", "doc_qa", "-n", rows // 4, "--seed", 7, *start, *end, *knobs, "-o", easy)
    if not full.exists():
        run(program, "cook", "doc_qa", "-n", rows - rows // 4, "--seed", 8, "--set", "doc_qa.doc_len=30..60", *knobs, "-o", full)
    right, shuffled = out / "right.jsonl", out / "shuffled.jsonl"
    if not shuffled.exists():
        lines = [json.loads(line) for path in (easy, full) for line in path.open(encoding="utf-8")]
        answers = [line["completion"] for line in lines]
        random.Random(7).shuffle(answers)
        for path, those in [(right, [line["completion"] for line in lines]), (shuffled, answers)]:
            with path.open("w", encoding="utf-8") as file:
                for line, answer in zip(lines, those, strict=True):
                    file.write(json.dumps({"prompt": line["prompt"], "completion": answer}) + "\n")
    return {"doc_qa": right, "shuffled answers": shuffled}


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    release = Path(os.environ.get("CARGO_TARGET_DIR", ROOT / "target")) / "release"
    parser.add_argument("out", type=Path)
    parser.add_argument("--rows", type=int, default=400_000)
    parser.add_argument("--threads", type=int, default=os.cpu_count())
    parser.add_argument("--control-steps", type=int, default=SETTINGS["--steps"])
    parser.add_argument("--instil", type=Path, default=release / "instil")
    parser.add_argument("--curves", type=Path, default=release / "examples" / "curves")
    given = parser.parse_args()
    out = given.out.resolve()
    out.mkdir(parents=True, exist_ok=True)
    program = given.instil.resolve()
    lines, logs = [], []
    for name, rows in cook(program, out, given.rows).items():
        began, folder = time.time(), out / name.replace(" ", "-")
        settings = SETTINGS | ({"--steps": given.control_steps} if name != "doc_qa" else {})
        flags = [str(word) for pair in settings.items() for word in pair]
        run(program, "train", rows, "--new-model", ROOT / "recipes/doc_qa/model.json", "-o", folder, *flags, "--threads", given.threads)
        minutes = (time.time() - began) / 60
        report = out / f"{folder.name}-eval"
        run(program, "eval", "--benchmark", "recipes/doc_qa/benchmark.yaml", "--model", folder, "-o", report, "-q")
        numbers = {one["metric"]: one for one in json.loads((report / "report.json").read_text())["reports"][0]["metrics"]}
        trained = json.loads((folder / "run/report.json").read_text())
        exact = numbers["exact_match"]
        low, high = exact["interval"]
        lines.append(
            f"| {name} | {trained['steps']:,} | {trained['validation_loss']:.3f} | {exact['value']:.1%} ({low:.1%} to {high:.1%}) "
            f"| {exact['random']:.1%} | {minutes:.0f} |"
        )
        logs.append(f"{name}={folder / 'run/log.jsonl'}")
    curves = given.curves.resolve()
    run(curves, out / "curve.svg", "Held-out loss of doc_qa", "step", "validation_loss", *logs)
    print("| trained on | steps | held-out nats a token | exact match, 95 % | answers of other rows | minutes |")
    print("|---|---|---|---|---|---|", *lines, sep="\n")


if __name__ == "__main__":
    main()
