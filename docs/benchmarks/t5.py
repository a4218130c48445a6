#!/usr/bin/env python3
"""T5 beside transformers in f32: prompts answered a second, and training steps, in one run.

    cargo build --release -p instil-model --example throughput --example train_step
    target/peers-venv/bin/python docs/benchmarks/t5.py [--what generate train] [--rounds 2] [--prompts 64]

Random models of T5 1.1's shapes are made below target/t5 if they are not there: `base` (248M weights) and `small` (77M).

- generate: prompts of 100 to 300 tokens to the base model, 48 new tokens each, the likeliest ones; no token ends a text.
  instil in f32 and in Q8_0; transformers' `generate` in f32, prompts sorted by length and padded, in batches of 32, with its
  caches.
- train: `lora` of the base model (r = 64 on all projections, 2 x (200 read + 56 written) tokens), `full` of the small one
  (8 x (96 + 32)). instil keeps what blocks compute, as torch does; AdamW, gradients cut to 1. Losses must be alike.

Each program is a process of its own; they take turns, round after round, and the best round counts. Loading isn't
counted. Run it when nothing else runs: the load average is printed. On a busy machine `--threads 1` and the seconds of
processor time say more than the clock. The Python is the one that tests/peers/run makes.
"""

import argparse
import json
import os
import resource
import subprocess
import sys
import time
from importlib.metadata import version
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
NEW, BATCH, RANK = 48, 32, 64
SHAPES = {
    "base": {"d_model": 768, "d_ff": 2048, "num_layers": 12, "num_heads": 12},
    "small": {"d_model": 512, "d_ff": 1024, "num_layers": 8, "num_heads": 6},
}
TRAININGS = {"lora": ("base", 2, 200, 56), "full": ("small", 8, 96, 32)}


def make(folder, shape):
    """A random model of T5 1.1's shape."""
    import torch
    from transformers import T5Config, T5ForConditionalGeneration

    torch.manual_seed(1)
    config = T5Config(vocab_size=32128, d_kv=64, feed_forward_proj="gated-gelu", tie_word_embeddings=False, dropout_rate=0.0,
                      decoder_start_token_id=0, **shape)  # fmt: skip
    model = T5ForConditionalGeneration(config)
    # A head of its own, in the scale of the published ones.
    model.lm_head.weight = torch.nn.Parameter(torch.randn(32128, shape["d_model"]) * 0.1)
    model.save_pretrained(folder)
    tokenizer(folder)


def tokenizer(folder):
    """Any tokenizer will do: prompts are tokens, and texts are only counted."""
    from tokenizers import Tokenizer, models

    pieces = [("<pad>", 0.0), ("</s>", 0.0), ("<unk>", 0.0)] + [(f"▁w{number}", -10.0) for number in range(3, 32000)]
    Tokenizer(models.Unigram(pieces, 2)).save(str(folder / "tokenizer.json"))
    (folder / "tokenizer_config.json").write_text('{"eos_token": "</s>", "pad_token": "<pad>"}\n')


def prompts(count):
    """Tokens, each prompt with its end."""
    made = []
    for row in range(count):
        length = 100 + row * 7919 % 201
        ids = [(row * 7919 + at * 104729 + 13) % 31000 + 3 for at in range(length - 1)]
        made.append({"ids": [*ids, 1]})
    return made


def generate(folder, path, threads):
    """What a child process does: transformers' answers, said as JSON."""
    import torch
    from transformers import T5ForConditionalGeneration

    torch.set_num_threads(threads)
    rows = sorted((row["ids"] for row in json.loads(Path(path).read_text())), key=len, reverse=True)
    model = T5ForConditionalGeneration.from_pretrained(folder, dtype=torch.float32).eval()
    model.generation_config.eos_token_id = None
    start, had, made = time.perf_counter(), time.process_time(), 0
    with torch.inference_mode():
        for at in range(0, len(rows), BATCH):
            some = rows[at : at + BATCH]
            widest = len(some[0])
            ids = torch.tensor([row + [0] * (widest - len(row)) for row in some])
            mask = torch.tensor([[1] * len(row) + [0] * (widest - len(row)) for row in some])
            out = model.generate(input_ids=ids, attention_mask=mask, max_new_tokens=NEW, do_sample=False)
            made += out.shape[0] * (out.shape[1] - 1)
    said = {"seconds": time.perf_counter() - start, "processor_seconds": time.process_time() - had, "new_tokens": made}
    print(json.dumps(said))


def train(kind, folder, threads, steps):
    """What a child process does: torch's steps, said as JSON."""
    import torch
    from transformers import T5ForConditionalGeneration

    torch.set_num_threads(threads)
    torch.manual_seed(1)
    _, batch, read, written = TRAININGS[kind]
    model = T5ForConditionalGeneration.from_pretrained(folder, dtype=torch.float32)
    if kind == "lora":
        from peft import LoraConfig, get_peft_model

        modules = ["q", "k", "v", "o", "wi_0", "wi_1", "wo"]
        model = get_peft_model(model, LoraConfig(r=RANK, lora_alpha=4, lora_dropout=0.0, target_modules=modules))
    model.train()
    trained = [parameter for parameter in model.parameters() if parameter.requires_grad]
    optimizer = torch.optim.AdamW(trained, lr=1e-4, weight_decay=0.0)
    rows = [[(row * 7919 + at * 104729 + 13) % (32128 - 3) + 3 for at in range(read + written)] for row in range(batch)]
    tokens = torch.tensor(rows)
    seconds, busy, losses = [], [], []
    for _ in range(steps):
        start, had = time.perf_counter(), time.process_time()
        loss = model(input_ids=tokens[:, :read], labels=tokens[:, read:].contiguous()).loss
        optimizer.zero_grad(set_to_none=True)
        loss.backward()
        torch.nn.utils.clip_grad_norm_(trained, 1.0)
        optimizer.step()
        seconds.append(time.perf_counter() - start)
        busy.append(time.process_time() - had)
        losses.append(loss.item())
    peak = next(line for line in Path("/proc/self/status").read_text().splitlines() if line.startswith("VmHWM"))
    print(json.dumps({"seconds": seconds, "processor_seconds": busy, "losses": losses, "peak_mib": int(peak.split()[1]) / 1024}))


def run(command):
    """The last line that a program says, which is JSON."""
    environment = os.environ | {"HF_HUB_OFFLINE": "1", "TOKENIZERS_PARALLELISM": "false"}
    command = [str(part) for part in command]
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    done = subprocess.run(command, capture_output=True, text=True, env=environment, check=False)
    if done.returncode:
        sys.exit(f"{' '.join(command)}\n{done.stderr}")
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    whole = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
    return {"whole_processor_seconds": whole} | json.loads(done.stdout.splitlines()[-1])


def rounds(programs, count):
    """What each program says, taking turns."""
    found = {name: [] for name in programs}
    for _ in range(count):
        for name, command in programs.items():
            found[name].append(run(command))
    return found


def measure_generation(arguments, work):
    path = work / f"prompts-{arguments.prompts}.json"
    rows = prompts(arguments.prompts)
    path.write_text(json.dumps(rows))
    ours = [arguments.examples / "throughput", work / "base", path, "--new", NEW, "--threads", arguments.threads]
    programs = {
        "instil, f32": [*ours, "--quantize", "none"],
        "instil, q8_0": [*ours, "--quantize", "q8_0"],
        "transformers, f32": [sys.executable, __file__, "--child", "generate", work / "base", path, "--threads", arguments.threads],
    }
    # What loading takes of the processor is told by a run without prompts.
    (work / "none.json").write_text("[]")
    loading = {name: run([work / "none.json" if part == path else part for part in command])["whole_processor_seconds"]
               for name, command in programs.items() if name.startswith("instil")}  # fmt: skip
    found = rounds(programs, arguments.rounds)
    base = min(said["seconds"] for said in found["transformers, f32"])
    busy = {name: min(said.get("processor_seconds", said["whole_processor_seconds"] - loading.get(name, 0)) for said in all_said)
            for name, all_said in found.items()}  # fmt: skip
    count = sum(len(row["ids"]) for row in rows)
    print(f"generate: {len(rows)} prompts of together {count} tokens, {NEW} new tokens each, {arguments.threads} threads, "
          f"{arguments.rounds} rounds")
    for name, all_said in found.items():
        best = min(said["seconds"] for said in all_said)
        every = ", ".join(f"{said['seconds']:.1f}" for said in all_said)
        made = all_said[0]["new_tokens"]
        print(f"  {name:20} {best:6.1f} s ({base / best:4.2f} x transformers' speed; rounds {every})   {made / best:5.0f} new tokens a second   "
              f"{busy[name]:6.1f} s of processor ({busy['transformers, f32'] / busy[name]:4.2f} x)", flush=True)


def measure_training(arguments, work):
    for kind, (shape, batch, read, written) in TRAININGS.items():
        if kind not in arguments.kinds:
            continue
        ours = [arguments.examples / "train_step", work / shape, "--batch", batch, "--length", read + written - 1]
        ours += ["--prompt", read, "--steps", arguments.steps, "--threads", arguments.threads, "--keep"]
        programs = {
            "instil, f32": ours + (["--lora", RANK] if kind == "lora" else []),
            "torch, f32": [sys.executable, __file__, "--child", kind, work / shape, "-", "--steps", arguments.steps,
                           "--threads", arguments.threads],
        }  # fmt: skip
        found = rounds(programs, arguments.rounds)
        base = min(min(said["seconds"][1:]) for said in found["torch, f32"])
        print(f"{kind}: T5 {shape}, {batch} x ({read} read + {written} written) tokens, {arguments.threads} threads, "
              f"{arguments.rounds} rounds of {arguments.steps} steps")
        for name, all_said in found.items():
            best = min(min(said["seconds"][1:]) for said in all_said)
            mib = min(said["peak_mib"] for said in all_said)
            losses = " ".join(f"{loss:.4f}" for loss in all_said[0]["losses"][:3])
            busy = {of: min(min(said["processor_seconds"][1:]) for said in all_of) for of, all_of in found.items()}
            print(f"  {name:20} {best:6.3f} s ({base / best:4.2f} x torch's speed), {busy[name]:.2f} s of processor "
                  f"({busy['torch, f32'] / busy[name]:4.2f} x)   peak {mib:5.0f} MiB   losses {losses}", flush=True)


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--what", nargs="+", choices=["generate", "train"], default=["generate", "train"])
    parser.add_argument("--kinds", nargs="+", choices=TRAININGS, default=list(TRAININGS))
    parser.add_argument("--examples", type=Path, default=ROOT / "target" / "release" / "examples", help="the programs' folder")
    parser.add_argument("--work", type=Path, default=ROOT / "target" / "t5", help="where the models are")
    parser.add_argument("--rounds", type=int, default=2)
    parser.add_argument("--prompts", type=int, default=64)
    parser.add_argument("--steps", type=int, default=4)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--child", nargs=3, help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.child:
        kind, folder, path = arguments.child
        if kind == "generate":
            return generate(folder, path, arguments.threads)
        return train(kind, folder, arguments.threads, arguments.steps)
    for name, shape in SHAPES.items():
        if not (arguments.work / name / "tokenizer_config.json").is_file():
            (arguments.work / name).mkdir(parents=True, exist_ok=True)
            make(arguments.work / name, shape)
    versions = ", ".join(f"{name} {version(name)}" for name in ["torch", "transformers", "peft"])
    print(f"{time.strftime('%Y-%m-%d')}, {versions}, load of the machine {os.getloadavg()[0]:.1f}\n", flush=True)
    if "generate" in arguments.what:
        measure_generation(arguments, arguments.work)
    if "train" in arguments.what:
        measure_training(arguments, arguments.work)


if __name__ == "__main__":
    main()
