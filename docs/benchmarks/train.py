#!/usr/bin/env python3
"""A training step of instil beside one of torch with transformers and peft: time and peak memory, in one run.

    cargo build --release -p instil-model --example train_step
    target/peers-venv/bin/python docs/benchmarks/random_model.py FOLDER --dtype f32
    target/peers-venv/bin/python docs/benchmarks/train.py FOLDER [--binary target/release/examples/train_step]

`lora`: the 125M Llama in FOLDER, r = 64 on all seven projections, 2 x 256 tokens. `scratch`: a new Llama of 8.9M, 8 x 128
tokens. Each program is a process of its own; they take turns, round after round, and the best step of all rounds counts.
On a busy machine `--threads 1` and the seconds of processor time, of the best step too, say more than the clock. Peak memory is the process's own resident peak (VmHWM), with torch's libraries, which are also given without a model. The
Python is the one that tests/peers/run makes.
"""

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path

SCRATCH = {
    "architectures": ["LlamaForCausalLM"],
    "model_type": "llama",
    "vocab_size": 6000,
    "hidden_size": 256,
    "intermediate_size": 688,
    "num_hidden_layers": 8,
    "num_attention_heads": 8,
    "num_key_value_heads": 4,
    "max_position_embeddings": 512,
    "hidden_act": "silu",
    "rms_norm_eps": 1e-5,
    "tie_word_embeddings": False,
    "bos_token_id": 1,
    "eos_token_id": 2,
}
SHAPES = {"lora": (2, 256), "scratch": (8, 128)}


def memory(key):
    """MiB of this process."""
    for line in Path("/proc/self/status").read_text().splitlines():
        if line.startswith(key):
            return int(line.split()[1]) / 1024


def torch_steps(kind, model_path, dtype, checkpointing, steps, threads):
    """What a child process does: steps of torch, said as JSON."""
    import torch
    from transformers import AutoConfig, AutoModelForCausalLM

    torch.set_num_threads(threads)
    torch.manual_seed(1)
    of = {"f32": torch.float32, "bf16": torch.bfloat16}[dtype]
    libraries = memory("VmHWM")
    if kind == "lora":
        from peft import LoraConfig, get_peft_model

        model = AutoModelForCausalLM.from_pretrained(model_path, dtype=of)
        modules = ["q_proj", "k_proj", "v_proj", "o_proj", "gate_proj", "up_proj", "down_proj"]
        config = LoraConfig(r=64, lora_alpha=4, lora_dropout=0.0, target_modules=modules, task_type="CAUSAL_LM")
        model = get_peft_model(model, config)
    else:
        model = AutoModelForCausalLM.from_config(AutoConfig.from_pretrained(model_path), dtype=of)
    model.config.use_cache = False
    if checkpointing:
        model.enable_input_require_grads()
        model.gradient_checkpointing_enable(gradient_checkpointing_kwargs={"use_reentrant": False})
    model.train()
    trained = [parameter for parameter in model.parameters() if parameter.requires_grad]
    optimizer = torch.optim.AdamW(trained, lr=1e-4, weight_decay=0.0)
    batch, length = SHAPES[kind]
    vocab = model.config.vocab_size
    rows = [[(row * 7919 + at * 104729 + 13) % (vocab - 3) + 3 for at in range(length + 1)] for row in range(batch)]
    tokens = torch.tensor(rows)
    before, seconds, busy, losses = memory("VmHWM"), [], [], []
    for _ in range(steps):
        start, had = time.perf_counter(), time.process_time()
        logits = model(input_ids=tokens[:, :-1]).logits
        loss = torch.nn.functional.cross_entropy(logits.flatten(0, 1).float(), tokens[:, 1:].flatten())
        optimizer.zero_grad(set_to_none=True)
        loss.backward()
        torch.nn.utils.clip_grad_norm_(trained, 1.0)
        optimizer.step()
        seconds.append(time.perf_counter() - start)
        busy.append(time.process_time() - had)
        losses.append(loss.item())
    said = {"trained": sum(parameter.numel() for parameter in trained), "seconds": seconds, "losses": losses}
    said["processor_seconds"] = busy
    print(json.dumps(said | {"libraries_mib": libraries, "before_mib": before, "peak_mib": memory("VmHWM")}))


def run(command):
    """The last line that a program says, which is JSON."""
    environment = os.environ | {"HF_HUB_OFFLINE": "1", "TOKENIZERS_PARALLELISM": "false"}
    done = subprocess.run(command, capture_output=True, text=True, env=environment, check=False)
    if done.returncode:
        sys.exit(f"{' '.join(map(str, command))}\n{done.stderr}")
    return json.loads(done.stdout.splitlines()[-1])


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("folder", type=Path, help="the 125M Llama in f32")
    parser.add_argument("--binary", type=Path, default=Path("target/release/examples/train_step"))
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--steps", type=int, default=5)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--kinds", nargs="+", choices=SHAPES, default=list(SHAPES))
    parser.add_argument("--child", nargs=4, help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.child:
        kind, path, dtype, checkpointing = arguments.child
        return torch_steps(kind, path, dtype, checkpointing == "yes", arguments.steps, arguments.threads)
    scratch = Path(tempfile.mkdtemp()) / "config.json"
    scratch.write_text(json.dumps(SCRATCH))
    for kind in arguments.kinds:
        batch, length = SHAPES[kind]
        path = arguments.folder if kind == "lora" else scratch
        ours = [arguments.binary, path, "--batch", batch, "--length", length, "--steps", arguments.steps]
        ours += ["--threads", arguments.threads] + (["--lora", 64] if kind == "lora" else [])
        theirs = [sys.executable, __file__, arguments.folder, "--steps", arguments.steps]
        theirs += ["--threads", arguments.threads, "--child", kind]
        theirs += [path if kind == "lora" else scratch.parent]
        programs = {
            "instil, f32": ours,
            "instil, f32, keeps activations": ours + ["--keep"],
            "torch, f32": theirs + ["f32", "no"],
            "torch, f32, checkpointing": theirs + ["f32", "yes"],
            "torch, bf16": theirs + ["bf16", "no"],
        }
        found = {name: [] for name in programs}
        for _ in range(arguments.rounds):
            for name, command in programs.items():
                found[name].append(run([str(part) for part in command]))
        base = min(min(said["seconds"][1:]) for said in found["torch, f32"])
        peak = min(said["peak_mib"] for said in found["torch, f32"])
        print(f"{kind}: {batch} x {length} tokens, {arguments.threads} threads, "
              f"{arguments.rounds} rounds of {arguments.steps} steps")
        for name, all_said in found.items():
            best = min(min(said["seconds"][1:]) for said in all_said)
            busy = min(min(said["processor_seconds"][1:]) for said in all_said)
            mib = min(said["peak_mib"] for said in all_said)
            before = min(said["before_mib"] for said in all_said)
            libraries = all_said[0].get("libraries_mib")
            beside = f", {libraries:.0f} of them libraries" if libraries else ""
            losses = " ".join(f"{loss:.4f}" for loss in all_said[0]["losses"][:3])
            print(
                f"  {name:32} {best:7.3f} s ({base / best:4.2f} x torch f32's speed), {busy:.2f} s of processor   peak {mib:6.0f} MiB "
                f"({mib / peak:4.2f} of torch f32's; {before:.0f} before the first step{beside})   losses {losses}"
            )
        print(f"  trained weights: {sorted({said['trained'] for said in sum(found.values(), [])})}")


if __name__ == "__main__":
    main()
