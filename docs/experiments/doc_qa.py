#!/usr/bin/env python3
"""Does a small decoder learn a rule from `instil cook`? Trained on `doc_qa` from random weights, beside a control whose
answers are shuffled among the rows.

    cargo build --release && cargo build --release -p instil --example curves
    python3 docs/experiments/doc_qa.py OUT [--threads 2] [--instil target/release/instil]

Both have the model of recipes/doc_qa/model.json, the same prompts, order and settings, in two stages: documents of 10 to
14 words, then, from the weights of the first, of 30 to 60. The learning curve is the loss of each stage's own held-out rows
(OUT/curve.svg); what counts is the exact match on the 1,000 samples of recipes/doc_qa/benchmark.yaml, which are of the
split test under another seed. Interrupted, it goes on where it was. Prints a table in Markdown. Python's own library.
"""

import argparse
import json
import os
import random
import subprocess
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
# Name, rows, knobs, steps.
STAGES = [
    ("short", 200_000, "doc_qa.doc_len=10..14,doc_qa.question_len=3..4", 3000),
    ("full", 200_000, "doc_qa.doc_len=30..60", 2500),
]
SETTINGS = {
    "--method": "full",
    "--batch-size": 64,
    "--learning-rate": "2e-3",
    "--warmup-ratio": "3%",
    "--schedule": "cosine",
    "--weight-decay": 0.01,
    "--seed": 42,
    "--validation": "0.25%",
    "--validate-every": 100,
}


def run(program, *words):
    subprocess.run([str(program), *map(str, words)], check=True, cwd=ROOT)


def cook(program, out, name, rows, knobs):
    """The rows of a stage, and the same with shuffled answers."""
    right, shuffled = out / f"{name}.jsonl", out / f"{name}-shuffled.jsonl"
    if not shuffled.exists():
        flags = ["--set", knobs, "--pool-words", 256, "--wording", "bare", "--seed", 3, "--overwrite", "-q"]
        run(program, "cook", "doc_qa", "-n", rows, *flags, "-o", right)
        lines = [json.loads(line) for line in right.open(encoding="utf-8")]
        answers = [line["completion"] for line in lines]
        random.Random(7).shuffle(answers)
        part = shuffled.with_suffix(".part")
        with part.open("w", encoding="utf-8") as file:
            for line, answer in zip(lines, answers, strict=True):
                file.write(json.dumps({"prompt": line["prompt"], "completion": answer}) + "\n")
        part.rename(shuffled)
    return {"doc_qa": right, "shuffled answers": shuffled}


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    release = Path(os.environ.get("CARGO_TARGET_DIR", ROOT / "target")) / "release"
    parser.add_argument("out", type=Path)
    parser.add_argument("--threads", type=int, default=os.cpu_count())
    parser.add_argument("--instil", type=Path, default=release / "instil")
    parser.add_argument("--curves", type=Path, default=release / "examples" / "curves")
    given = parser.parse_args()
    out, program = given.out.resolve(), given.instil.resolve()
    out.mkdir(parents=True, exist_ok=True)
    stages = [(*stage, cook(program, out, *stage[:3])) for stage in STAGES]
    flags = [str(word) for pair in SETTINGS.items() for word in pair] + ["--threads", given.threads]
    lines, curves = [], []
    for name in stages[0][-1]:
        began, base, logged, done = time.time(), ["--new-model", ROOT / "recipes/doc_qa/model.json"], [], 0
        for stage, _, _, steps, rows in stages:
            folder = out / f"{name.replace(' ', '-')}-{stage}"
            run(program, "train", rows[name], *base, "-o", folder, "--steps", steps, *flags)
            for line in (folder / "run/log.jsonl").open(encoding="utf-8"):
                line = json.loads(line)
                logged.append(json.dumps(line | {"step": done + line["step"]}) + "\n")
            base, done = ["--model", folder], done + steps
        minutes = (time.time() - began) / 60
        log, report = out / f"{name.replace(' ', '-')}.jsonl", out / f"{name.replace(' ', '-')}-eval"
        log.write_text("".join(logged), encoding="utf-8")
        curves.append(f"{name}={log}")
        run(program, "eval", "--benchmark", "recipes/doc_qa/benchmark.yaml", "--model", folder, "-o", report, "-q")
        numbers = json.loads((report / "report.json").read_text())["reports"][0]["metrics"]
        exact = next(one for one in numbers if one["metric"] == "exact_match")
        low, high = exact["interval"]
        loss = json.loads((folder / "run/report.json").read_text())["validation_loss"]
        lines.append(
            f"| {name} | {done:,} | {loss:.3f} | {exact['value']:.1%} ({low:.1%} to {high:.1%}) | {exact['random']:.1%} | {minutes:.0f} |"
        )
    run(given.curves.resolve(), out / "curve.svg", "Held-out loss", "step", "validation_loss", *curves)
    print("| trained on | steps | held-out nats a token | exact match, 95 % | answers of other rows | minutes |")
    print("|---|---|---|---|---|---|", *lines, sep="\n")


if __name__ == "__main__":
    main()
