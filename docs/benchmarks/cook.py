#!/usr/bin/env python3
"""Characters a second that `instil cook` and reasoning-gym make, paired by kind and size, in one run.

    cargo build --release && cargo build --release -p instil --example cook_speed
    python3 -m pip install --target target/peers-reasoning-gym reasoning-gym==0.1.25
    target/peers-venv/bin/python docs/benchmarks/cook.py [--seconds 5] [--rounds 2]

In memory: reasoning-gym's rows are made one after the other (`dataset[i]`), as its users do; instil's likewise by
crates/instil/examples/cook_speed.rs. With parquet: rows in batches through pyarrow (snappy, its default) against
`instil cook … -o FILE.parquet --threads 1`, as many rows as take some seconds. One thread each; seconds are those of the
processor. Characters are those of question and answer, or prompt and completion. They take turns, and each one's best
round counts. A pair's settings make its average lengths alike; both are printed. Needs pyarrow, which tests/peers/run
installs. The raw result goes to docs/benchmarks/cook.log.
"""

import argparse
import json
import os
import resource
import subprocess
import sys
import tempfile
import time
from importlib.metadata import version
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
LOG = Path(__file__).with_suffix(".log")
sys.path.insert(0, str(ROOT / "target" / "peers-reasoning-gym"))
# Kind: reasoning-gym's generator with its settings; our template with its own.
PAIRS = {
    "find the key's value": ("needle_haystack", "lookup", {"pairs": "82", "value_len": "1..2"}),
    "choose an option": ("acre", "mcqa", {"question_len": "80..130", "shared": "8..24"}),
    "does it follow": ("syllogism", "support", {"passage_len": "12..20", "hypothesis_len": "4..6"}),
    "bring words in order": ("sentence_reordering", "commonsense", {"goal_len": "4..9", "ending_len": "3..4"}),
}


def rows(name, count):
    import reasoning_gym

    dataset = reasoning_gym.create_dataset(name, size=count, seed=7)
    return (dataset[index] for index in range(count))


def peer_in_memory(name, seconds):
    """(characters a second, characters each), making the dataset counted: some make their rows with it."""
    count, took = 1000, 0.0
    while took < seconds / 3:
        start = time.process_time()
        characters = sum(len(row["question"]) + len(row["answer"]) for row in rows(name, count))
        took = time.process_time() - start
        made, count = count, 3 * count
    return characters / took, characters / made


def peer_to_parquet(name, count, path):
    """Characters a second, written."""
    import pyarrow
    from pyarrow import parquet

    schema = pyarrow.schema([("prompt", pyarrow.string()), ("completion", pyarrow.string())])
    source, characters = rows(name, count), 0
    start = time.process_time()
    with parquet.ParquetWriter(path, schema) as writer:
        prompts, completions = [], []
        for row in source:
            prompts.append(row["question"])
            completions.append(row["answer"])
            characters += len(row["question"]) + len(row["answer"])
            if len(prompts) == 10_000:
                writer.write_table(pyarrow.table([prompts, completions], schema=schema))
                prompts, completions = [], []
        writer.write_table(pyarrow.table([prompts, completions], schema=schema))
    return characters / (time.process_time() - start)


def ours_in_memory(program, template, settings, seconds):
    asked = template + "." + ",".join(f"{knob}={value}" for knob, value in settings.items())
    said = subprocess.run([program, str(seconds), "bare", asked], capture_output=True, text=True, check=True).stdout
    *_, each, _, rate = said.splitlines()[-1].split()
    return float(rate) * 1e6, float(each)


def ours_to_parquet(program, template, settings, count, each, path):
    command = [program, "cook", template, "-n", count, "--seed", 7, "--wording", "bare", "--threads", 1, "-q", "-o", path]
    command += [word for knob, value in settings.items() for word in ("--set", f"{template}.{knob}={value}")]
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    subprocess.run([*map(str, command)], check=True)
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    return count * each / (after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime)


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    release = Path(os.environ.get("CARGO_TARGET_DIR", ROOT / "target")) / "release"
    parser.add_argument("--instil", type=Path, default=release / "instil")
    parser.add_argument("--speed", type=Path, default=release / "examples" / "cook_speed")
    parser.add_argument("--seconds", type=float, default=5.0)
    parser.add_argument("--rounds", type=int, default=2)
    given = parser.parse_args()
    lines = [f"{os.cpu_count()} processors, reasoning-gym {version('reasoning-gym')}, load {os.getloadavg()[0]:.2f}"]
    for kind, (peer, template, settings) in PAIRS.items():
        memory, disk = [], []
        for _ in range(given.rounds):
            theirs, their_each = peer_in_memory(peer, given.seconds)
            ours, our_each = ours_in_memory(given.speed, template, settings, given.seconds)
            memory.append((theirs, ours))
            with tempfile.TemporaryDirectory() as folder:
                count = int(theirs * given.seconds / their_each)
                their_disk = peer_to_parquet(peer, count, f"{folder}/theirs.parquet")
                count = max(1000, int(ours / 4 * given.seconds / our_each))
                our_disk = ours_to_parquet(given.instil, template, settings, count, our_each, f"{folder}/ours.parquet")
                disk.append((their_disk, our_disk))
        (theirs, ours), (their_disk, our_disk) = [tuple(map(max, zip(*both))) for both in (memory, disk)]
        lines.append(
            f"{kind}: {peer} {theirs / 1e6:.1f}, {template} {ours / 1e6:.1f} million characters/s in memory: "
            f"{ours / theirs:.1f} x; with parquet {their_disk / 1e6:.1f}, {our_disk / 1e6:.1f}: {our_disk / their_disk:.1f} x "
            f"({their_each:.0f} and {our_each:.0f} characters each; {json.dumps(settings)})"
        )
        print(lines[-1], flush=True)
    with LOG.open("a", encoding="utf-8") as file:
        file.write("\n".join([time.strftime("%Y-%m-%d %H:%M UTC", time.gmtime()), *(f"  {line}" for line in lines)]) + "\n\n")


if __name__ == "__main__":
    main()
