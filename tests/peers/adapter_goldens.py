"""Golden files of adapters: made by Python's peft over the local engine's small models, and what the two give together.

    python tests/peers/adapter_goldens.py

The bases are the goldens of decoder_goldens.py. Numbers come from numpy's frozen generator, so they are the same on every
machine. A folder holds what peft saved (`adapter_config.json`, `adapter_model.safetensors`) and `golden.safetensors`: `ids`,
int32, and `logits`, f32 [positions, vocabulary] of its last positions, in f32 on the CPU, unmerged.
"""

import argparse
import json
import shutil
import warnings
from pathlib import Path

import numpy as np
import torch
from peft import LoraConfig, get_peft_model
from safetensors.torch import save_file
from transformers import AutoModelForCausalLM

ROOT = Path(__file__).resolve().parents[2]
BASES = ROOT / "crates" / "instil-model" / "tests" / "goldens" / "decoder"
GOLDENS = ROOT / "crates" / "instil-model" / "tests" / "goldens" / "adapter"
POSITIONS = 6

# Name, base, how it is saved, and peft's settings.
ADAPTERS = [
    ("llama", "llama", "float32", {"r": 4, "lora_alpha": 16, "target_modules": "all-linear"}),
    ("mistral", "mistral", "float16",
     {"r": 3, "lora_alpha": 5, "use_rslora": True, "target_modules": r".*\.(q_proj|o_proj|up_proj)"}),
    ("qwen2-tied-head", "qwen2", "float32",
     {"r": 4, "lora_alpha": 4, "target_modules": ["q_proj", "v_proj", "down_proj", "lm_head"],
      "rank_pattern": {"down_proj": 2}, "alpha_pattern": {r"layers\.1\.self_attn\.v_proj": 12}}),
    ("qwen3", "qwen3", "bfloat16", {"r": 2, "lora_alpha": 8, "target_modules": ["k_proj"], "layers_to_transform": [1]}),
    ("gpt-neox", "gpt-neox", "float32",
     {"r": 4, "lora_alpha": 8, "target_modules": ["query_key_value", "dense", "dense_4h_to_h"]}),
    ("gpt-j", "gpt-j", "float32", {"r": 4, "lora_alpha": 6, "target_modules": ["q_proj", "out_proj", "fc_in", "lm_head"]}),
]  # fmt: skip


def filled(model, seed):
    """Gives the matrices of an adapter numbers that matter, in the order of their names."""
    random = np.random.RandomState(seed)
    for name, parameter in sorted(model.named_parameters()):
        if "lora_" in name:
            drawn = random.standard_normal(tuple(parameter.shape)) * 0.1
            parameter.data = torch.from_numpy(drawn.astype(np.float32))


def ids_of(base):
    golden = json.loads((BASES / base / "golden.json").read_text(encoding="utf-8"))
    return golden["sequences"][-1]["ids"]


def logits(model, ids):
    with torch.no_grad():
        return model(torch.tensor([ids]), use_cache=False).logits[0, -POSITIONS:].contiguous()


def base_model(base):
    model = AutoModelForCausalLM.from_pretrained(BASES / base, dtype=torch.float32, attn_implementation="eager")
    return model.eval()


def make(folder):
    for number, (name, base, dtype, settings) in enumerate(ADAPTERS):
        torch.manual_seed(0)
        with warnings.catch_warnings():
            # That a tied head is adapted; merged, it has to be untied.
            warnings.simplefilter("ignore")
            model = get_peft_model(base_model(base), LoraConfig(task_type="CAUSAL_LM", **settings)).eval()
        filled(model, 700 + number)
        for parameter_name, parameter in model.named_parameters():
            if "lora_" in parameter_name:
                parameter.data = parameter.data.to(getattr(torch, dtype))
        out = folder / name
        shutil.rmtree(out, ignore_errors=True)
        model.save_pretrained(out, save_embedding_layers=False)
        (out / "README.md").unlink(missing_ok=True)
        config = json.loads((out / "adapter_config.json").read_text(encoding="utf-8"))
        config["base_model_name_or_path"] = base
        if isinstance(config["target_modules"], list):
            config["target_modules"].sort()
        (out / "adapter_config.json").write_text(json.dumps(config, indent=1) + "\n", encoding="utf-8")
        model.float()
        ids = ids_of(base)
        known = {"ids": torch.tensor(ids, dtype=torch.int32), "logits": logits(model, ids)}
        save_file(known, out / "golden.safetensors")


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--folder", type=Path, default=GOLDENS)
    make(parser.parse_args().folder)
