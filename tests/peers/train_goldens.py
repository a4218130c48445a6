"""Golden files of training: what torch, transformers and peft make of small models in three steps.

    python tests/peers/train_goldens.py

The models are some of the decoder's goldens (decoder_goldens.py), in f32. Each is trained whole and by an adapter, on the
same examples and with the same first adapter weights as the Rust test: AdamW, a linear schedule with one step of
warm-up, weight decay, gradients cut to a norm that cuts. A file keeps the losses, the norms, some of the first step's
gradients and some of the last weights. The Python is the virtual environment that tests/peers/run makes.
"""

import argparse
import json
from pathlib import Path

import numpy as np
import torch
import transformers
from peft import LoraConfig, get_peft_model
from safetensors.torch import save_file
from transformers import AutoModelForCausalLM, get_scheduler

ROOT = Path(__file__).resolve().parents[2]
GOLDENS = ROOT / "crates" / "instil-model" / "tests" / "goldens"
MODELS = ["llama-head-dim", "llama-tied", "qwen2", "qwen3", "gpt-neox", "gpt-j"]
VOCAB = 128
STEPS = 4
RATE, DECAY, CLIP, WARMUP, TOTAL = 1e-2, 0.1, 0.7, 1, 10
RANK, ALPHA = 4, 6
# Tensors of which gradients and last weights are kept, by the ends of their names.
KEPT = (
    "embed_tokens.weight", "layers.0.input_layernorm.weight", "layers.1.self_attn.k_proj.weight", "q_proj.bias",
    "layers.0.self_attn.q_norm.weight", "layers.0.mlp.down_proj.weight", "embed_out.weight", "ln_f.bias",
    "layers.1.attention.query_key_value.weight", "layers.0.post_attention_layernorm.bias", "h.0.mlp.fc_in.weight",
    "layers.0.mlp.up_proj.lora_A.weight", "layers.1.self_attn.v_proj.lora_B.weight",
    "layers.0.attention.query_key_value.lora_A.weight", "layers.1.mlp.dense_4h_to_h.lora_B.weight",
    "h.0.attn.q_proj.lora_A.weight", "h.1.mlp.fc_out.lora_B.weight",
)  # fmt: skip


def examples():
    """Two examples a step, as tokens and the place from which they are learnt."""
    random = np.random.RandomState(11)
    made = []
    for length, start in [(20, 7), (9, 1), (33, 30), (14, 4), (25, 12), (6, 5), (17, 1), (12, 9)]:
        made.append({"tokens": random.randint(3, VOCAB, length).tolist(), "from": start})
    return made


def ours(name):
    """A parameter's name as the Rust side has it."""
    return name.replace("base_model.model.", "").replace(".default.", ".").replace(".base_layer.", ".")


def drawn(model):
    """First weights of the adapter: none of them zeros, so that every matrix has a gradient at once."""
    random = np.random.RandomState(12)
    for name, parameter in sorted(model.named_parameters()):
        if parameter.requires_grad:
            values = 0.1 * random.standard_normal(tuple(parameter.shape))
            parameter.data = torch.from_numpy(values.astype(np.float32))


def groups(parameters):
    """Matrices are decayed, norms and biases aren't."""
    matrices = [parameter for parameter in parameters if parameter.dim() > 1]
    others = [parameter for parameter in parameters if parameter.dim() == 1]
    return [{"params": matrices, "weight_decay": DECAY}, {"params": others, "weight_decay": 0.0}]


def loss_of(model, batch):
    """The mean over all learnt tokens of the step, each example by itself."""
    total, count = 0.0, 0
    for example in batch:
        tokens = torch.tensor([example["tokens"]])
        logits = model(tokens).logits[0]
        start = example["from"]
        total = total + torch.nn.functional.cross_entropy(logits[start - 1 : -1], tokens[0, start:], reduction="sum")
        count += tokens.shape[1] - start
    return total / count


def train(name, lora):
    folder = GOLDENS / "decoder" / name
    model = AutoModelForCausalLM.from_pretrained(folder, dtype=torch.float32, attn_implementation="eager")
    tensors = {}
    if lora:
        modules = sorted({
            place.rsplit(".", 1)[-1]
            for place, module in model.named_modules()
            if isinstance(module, torch.nn.Linear) and place not in ("lm_head", "embed_out")
        })
        config = LoraConfig(r=RANK, lora_alpha=ALPHA, lora_dropout=0.0, target_modules=modules, task_type="CAUSAL_LM")
        model = get_peft_model(model, config)
        drawn(model)
        tensors |= {f"first.{ours(key)}": value.detach().clone() for key, value in model.named_parameters()
                    if value.requires_grad}  # fmt: skip
    model.train()
    trained = {ours(key): value for key, value in model.named_parameters() if value.requires_grad}
    # transformers 5 has one name for every family's head; files of GPT-NeoX have the older one.
    if "gpt-neox" in name and "lm_head.weight" in trained:
        trained["embed_out.weight"] = trained.pop("lm_head.weight")
    optimizer = torch.optim.AdamW(groups(list(trained.values())), lr=RATE)
    scheduler = get_scheduler("linear", optimizer, WARMUP, TOTAL)
    said = {"losses": [], "norms": [], "rates": []}
    for step in range(STEPS):
        loss = loss_of(model, examples()[2 * step : 2 * step + 2])
        optimizer.zero_grad()
        loss.backward()
        if step == 0:
            tensors |= {f"gradient.{key}": value.grad.clone() for key, value in trained.items() if key.endswith(KEPT)}
        norm = torch.nn.utils.clip_grad_norm_(list(trained.values()), CLIP)
        said["rates"].append(scheduler.get_last_lr()[0])
        optimizer.step()
        scheduler.step()
        said["losses"].append(loss.item())
        said["norms"].append(norm.item())
    said["after"] = loss_of(model, examples()).item()
    tensors |= {f"last.{key}": value.detach().clone() for key, value in trained.items() if key.endswith(KEPT)}
    return said, {key: value.contiguous() for key, value in tensors.items()}


def make(out):
    """All goldens into the folder `out`."""
    transformers.logging.set_verbosity_error()
    transformers.logging.disable_progress_bar()
    torch.set_num_threads(1)
    out.mkdir(parents=True, exist_ok=True)
    settings = {"rate": RATE, "decay": DECAY, "clip": CLIP, "warmup": WARMUP, "total": TOTAL, "rank": RANK, "alpha": ALPHA}
    said = {"settings": settings, "examples": examples(), "runs": {}}
    for name in MODELS:
        for lora in (False, True):
            run = f"{name}-{'lora' if lora else 'full'}"
            said["runs"][run], tensors = train(name, lora)
            save_file(tensors, out / f"{run}.safetensors")
            print(f"{run}: losses {said['runs'][run]['losses']}, {len(tensors)} tensors", flush=True)
    (out / "golden.json").write_text(json.dumps(said, indent=1) + "\n", encoding="utf-8")


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--out", type=Path, default=GOLDENS / "train", help="where the goldens go")
    make(parser.parse_args().out)


if __name__ == "__main__":
    main()
