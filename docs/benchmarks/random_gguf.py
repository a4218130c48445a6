#!/usr/bin/env python3
"""The GGUF of a random Llama that random_model.py wrote, with its tokenizer.

    target/peers-venv/bin/python docs/benchmarks/random_gguf.py FOLDER MODEL.gguf --type f32|f16|bf16|q8_0|q4_k

q4_k has the types of llama.cpp's Q4_K with the head in Q6_K; their plain quantisers round less well than llama.cpp's,
which is of no matter to speed.
"""

import argparse
import json
import sys
from pathlib import Path

import torch
from transformers import AutoModelForCausalLM

ROOT = Path(__file__).resolve().parents[2]
sys.dont_write_bytecode = True
sys.path.insert(0, str(ROOT / "tests" / "peers"))

import decoder_formats as formats


def tokenizer_of(folder):
    """Writes FOLDER's byte-level BPE into a GGUF."""
    said = json.loads((folder / "tokenizer.json").read_text(encoding="utf-8"))
    tokens = sorted(said["model"]["vocab"], key=said["model"]["vocab"].get)
    special = {token["content"] for token in said["added_tokens"]}

    def write(writer):
        writer.add_tokenizer_model("gpt2")
        writer.add_tokenizer_pre("gpt-2")
        writer.add_token_list(tokens)
        writer.add_token_types([3 if token in special else 1 for token in tokens])
        writer.add_token_merges([" ".join(pair) for pair in said["model"]["merges"]])
        writer.add_bos_token_id(1)
        writer.add_eos_token_id(2)
        writer.add_add_bos_token(True)

    return write


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("folder", type=Path)
    parser.add_argument("out", type=Path)
    parser.add_argument("--type", choices=["f32", "f16", "bf16", "q8_0", "q4_k"], required=True)
    arguments = parser.parse_args()
    kind = formats.Kind[arguments.type.upper()]

    def kind_of(name):
        return formats.Kind.Q6_K if kind == formats.Kind.Q4_K and name == "output.weight" else kind

    model = AutoModelForCausalLM.from_pretrained(arguments.folder, dtype=torch.float32)
    # A run that was killed leaves no half of a file under the name.
    partial = arguments.out.with_suffix(".partial")
    formats.write_gguf(partial, model, kind_of, tokenizer_of(arguments.folder))
    partial.rename(arguments.out)


if __name__ == "__main__":
    main()
