"""Golden files of 4-bit weights: what bitsandbytes makes of small matrices, and a small model that transformers saved with it.

    python tests/peers/nf4_goldens.py

Needs bitsandbytes (its functions for the processor; no GPU). The base is a golden of decoder_goldens.py; matrices come from
numpy's frozen generator.

`matrices.safetensors`: of each case its `weight` (f32, what is quantised), bitsandbytes' tensors under the names that a
checkpoint has (`packed`, `absmax`, `nested_absmax`, `nested_quant_map`, `quant_map`), `offset` and `dequantised` in f32.
`llama-nf4` and `llama-fp4` are models in Hugging Face layout with `golden.safetensors`: `ids`, `logits` of the last positions
in f32, and `dequantised`, one of its weights.
"""

import argparse
import json
import shutil
from pathlib import Path

import bitsandbytes.functional as bnb
import numpy as np
import torch
from safetensors.torch import load_file, save_file
from transformers import AutoModelForCausalLM, BitsAndBytesConfig

from adapter_goldens import BASES, base_model, ids_of, logits

ROOT = Path(__file__).resolve().parents[2]
GOLDENS = ROOT / "crates" / "instil-model" / "tests" / "goldens" / "nf4"

# Name, shape, what multiplies the numbers.
CASES = [("usual", (72, 128), 0.02), ("wide", (3, 4096), 1.0), ("ragged", (5, 100), 3.0), ("zeros", (2, 128), 0.0)]
MODELS = [("llama-nf4", "nf4", True), ("llama-fp4", "fp4", False)]


def matrices():
    tensors = {}
    for number, (name, shape, scale) in enumerate(CASES):
        random = np.random.RandomState(400 + number)
        weight = torch.from_numpy((random.standard_normal(shape) * scale).astype(np.float32))
        if name == "wide":
            # Blocks of very different sizes.
            weight *= torch.from_numpy(10.0 ** random.uniform(-4, 1, (3, 64, 1)).astype(np.float32)).expand(3, 64, 64).reshape(shape)
        packed, state = bnb.quantize_4bit(weight, blocksize=64, compress_statistics=True, quant_type="nf4")
        tensors |= {
            f"{name}.weight": weight,
            f"{name}.packed": packed,
            f"{name}.absmax": state.absmax,
            f"{name}.quant_map": state.code,
            f"{name}.nested_absmax": state.state2.absmax,
            f"{name}.nested_quant_map": state.state2.code,
            f"{name}.offset": state.offset.reshape(1),
            f"{name}.dequantised": bnb.dequantize_4bit(packed, state),
        }
    return {name: tensor.contiguous().clone() for name, tensor in tensors.items()}


def model(folder, kind, nested):
    config = BitsAndBytesConfig(
        load_in_4bit=True, bnb_4bit_quant_type=kind, bnb_4bit_use_double_quant=nested,
        bnb_4bit_compute_dtype=torch.float32,
    )  # fmt: skip
    made = AutoModelForCausalLM.from_pretrained(
        BASES / "llama", dtype=torch.float32, attn_implementation="eager", quantization_config=config, device_map="cpu"
    ).eval()
    made.save_pretrained(folder)
    for name in ["tokenizer.json", "tokenizer_config.json"]:
        shutil.copy(BASES / "llama" / name, folder / name)
    (folder / "generation_config.json").unlink(missing_ok=True)
    # bitsandbytes 0.50.2 takes the wrong scales on the processor where rows aren't whole blocks (here 96), in its product and
    # in `dequantize_4bit`. As rows of one block each it dequantises rightly; torch multiplies.
    plain = base_model("llama")
    for module_name, module in made.named_modules():
        if type(module).__name__ == "Linear4bit":
            state = module.weight.quant_state
            shape, state.shape = state.shape, torch.Size([state.shape.numel() // 64, 64])
            weight = bnb.dequantize_4bit(module.weight.data, state).float().reshape(shape)
            plain.get_submodule(module_name).weight.data = weight.contiguous()
    known = {
        "ids": torch.tensor(ids_of("llama"), dtype=torch.int32),
        "logits": logits(plain, ids_of("llama")),
        "dequantised": plain.model.layers[0].mlp.down_proj.weight.data,
    }
    save_file(known, folder / "golden.safetensors")


def make(folder):
    folder.mkdir(parents=True, exist_ok=True)
    save_file(matrices(), folder / "matrices.safetensors")
    for name, kind, nested in MODELS:
        shutil.rmtree(folder / name, ignore_errors=True)
        model(folder / name, kind, nested)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--folder", type=Path, default=GOLDENS)
    make(parser.parse_args().folder)
