#!/usr/bin/env python3
"""A model of a real size with random weights, in Hugging Face layout, and the prompts that benchmarks give it.

    target/peers-venv/bin/python docs/benchmarks/random_model.py FOLDER [--shape 125m|mistral-7b] [--dtype f32|bf16]
    target/peers-venv/bin/python docs/benchmarks/random_model.py FOLDER --prompts PROMPTS.json [--count 256]

The same seed gives the same weights in f32 and in bf16. They are written as they are drawn, a few million at a time:
mistral-7b in bf16 takes 14.5 GB of disk and 0.1 GB of memory. The second form reads FOLDER's tokenizer. The Python is
the one that tests/peers/run makes.
"""

import argparse
import json
import shutil
import sys
from math import prod
from pathlib import Path

import numpy as np
from tokenizers import Tokenizer, decoders, models, pre_tokenizers, processors

SEED = 20261121
VOCAB = 32000
SPECIALS = ["<unk>", "<s>", "</s>"]
COMMON = {
    "bos_token_id": 1,
    "eos_token_id": 2,
    "hidden_act": "silu",
    "tie_word_embeddings": False,
    "vocab_size": VOCAB,
    "rms_norm_eps": 1e-5,
}
SHAPES = {
    "125m": {
        "architectures": ["LlamaForCausalLM"],
        "model_type": "llama",
        "hidden_size": 768,
        "num_hidden_layers": 12,
        "num_attention_heads": 12,
        "num_key_value_heads": 4,
        "intermediate_size": 2048,
        "max_position_embeddings": 2048,
        "rope_theta": 10000.0,
    },
    "mistral-7b": {
        "architectures": ["MistralForCausalLM"],
        "model_type": "mistral",
        "hidden_size": 4096,
        "num_hidden_layers": 32,
        "num_attention_heads": 32,
        "num_key_value_heads": 8,
        "intermediate_size": 14336,
        "max_position_embeddings": 32768,
        "sliding_window": 4096,
        "rope_theta": 10000.0,
    },
}
SHARD = 2 << 30
CHUNK = 1 << 22
TYPES = {"f32": ("F32", 4, "float32"), "bf16": ("BF16", 2, "bfloat16")}


def shapes(config):
    """Name and shape of every tensor, in the order of the file."""
    hidden, inner = config["hidden_size"], config["intermediate_size"]
    keys = hidden // config["num_attention_heads"] * config["num_key_value_heads"]
    yield "model.embed_tokens.weight", (VOCAB, hidden)
    for layer in range(config["num_hidden_layers"]):
        place = f"model.layers.{layer}."
        yield place + "input_layernorm.weight", (hidden,)
        for name, rows in ("q", hidden), ("k", keys), ("v", keys), ("o", hidden):
            yield f"{place}self_attn.{name}_proj.weight", (rows, hidden)
        yield place + "post_attention_layernorm.weight", (hidden,)
        yield place + "mlp.gate_proj.weight", (inner, hidden)
        yield place + "mlp.up_proj.weight", (inner, hidden)
        yield place + "mlp.down_proj.weight", (hidden, inner)
    yield "model.norm.weight", (hidden,)
    yield "lm_head.weight", (VOCAB, hidden)


def drawn(random, shape):
    """A norm near ones, or a matrix that keeps the size of what it is given; a few million values at a time."""
    size = prod(shape)
    for begin in range(0, size, CHUNK):
        values = random.standard_normal(min(CHUNK, size - begin), dtype=np.float32)
        if len(shape) == 1:
            values = 1 + np.float32(0.1) * values
        else:
            values *= np.float32(shape[1] ** -0.5)
        yield values


def as_bytes(values, dtype):
    if dtype == "f32":
        return values.data
    bits = values.view(np.uint32)
    bits += 0x7FFF + (bits >> 16 & 1)  # To the nearest, ties to even; the weights have no infinities.
    return (bits >> 16).astype(np.uint16).data


def write_weights(folder, config, dtype):
    """One file, or shards of at most SHARD bytes with their index."""
    kind, size, _ = TYPES[dtype]
    shards, held = [[]], 0
    for name, shape in shapes(config):
        if shards[-1] and held + prod(shape) * size > SHARD:
            shards.append([])
            held = 0
        shards[-1].append((name, shape))
        held += prod(shape) * size
    random = np.random.Generator(np.random.SFC64(SEED))
    index, total = {}, 0
    for number, tensors in enumerate(shards, 1):
        name = f"model-{number:05}-of-{len(shards):05}.safetensors" if len(shards) > 1 else "model.safetensors"
        header, end = {"__metadata__": {"format": "pt"}}, 0
        for tensor, shape in tensors:
            index[tensor], begin, end = name, end, end + prod(shape) * size
            header[tensor] = {"dtype": kind, "shape": list(shape), "data_offsets": [begin, end]}
        text = json.dumps(header, separators=(",", ":")).encode()
        text += b" " * (-len(text) % 8)
        partial = folder / f"{name}.partial"
        with partial.open("wb") as file:
            file.write(len(text).to_bytes(8, "little") + text)
            for _, shape in tensors:
                for values in drawn(random, shape):
                    file.write(as_bytes(values, dtype))
        # A run that was killed leaves no half of a file under the name.
        partial.rename(folder / name)
        total += end
    if len(shards) > 1:
        said = {"metadata": {"total_size": total}, "weight_map": index}
        (folder / "model.safetensors.index.json").write_text(json.dumps(said, indent=1), encoding="utf-8")


def vocabulary():
    """Tokens and merges of a byte-level BPE: pairs of letters, made-up words of two pairs, and these after a space."""
    random = np.random.Generator(np.random.SFC64(SEED))
    tokens = SPECIALS + sorted(pre_tokenizers.ByteLevel.alphabet())
    letters = [chr(code) for code in range(ord("a"), ord("z") + 1)]
    pairs = [one + other for one in letters for other in letters]
    words = (VOCAB - len(tokens) - len(pairs)) // 2
    chosen = random.choice(len(pairs) ** 2, words + (VOCAB - len(tokens) - len(pairs)) % 2, replace=False)
    parts = [(pairs[number // len(pairs)], pairs[number % len(pairs)]) for number in chosen.tolist()]
    merges = [tuple(pair) for pair in pairs] + parts + [("Ġ", one + other) for one, other in parts[:words]]
    tokens += [one + other for one, other in merges]
    assert len(tokens) == VOCAB
    return tokens, merges


def tokenizer():
    tokens, merges = vocabulary()
    made = Tokenizer(models.BPE({token: number for number, token in enumerate(tokens)}, merges))
    made.pre_tokenizer, made.decoder = pre_tokenizers.ByteLevel(add_prefix_space=False), decoders.ByteLevel()
    made.add_special_tokens(SPECIALS)
    made.post_processor = processors.TemplateProcessing(single="<s> $A", special_tokens=[("<s>", 1)])
    return made


def write_model(folder, shape, dtype):
    config = COMMON | SHAPES[shape] | {"torch_dtype": TYPES[dtype][2], "transformers_version": "4.41.2"}
    folder.mkdir(parents=True, exist_ok=True)
    need, free = sum(prod(size) for _, size in shapes(config)) * TYPES[dtype][1], shutil.disk_usage(folder).free
    if need > free:
        sys.exit(f"{folder}: {need / 1e9:.1f} GB are to be written, {free / 1e9:.1f} GB are free")
    (folder / "config.json").write_text(json.dumps(config, indent=1), encoding="utf-8")
    tokenizer().save(str(folder / "tokenizer.json"), pretty=False)
    fields = {
        "tokenizer_class": "PreTrainedTokenizerFast",
        "bos_token": "<s>",
        "eos_token": "</s>",
        "unk_token": "<unk>",
    }
    (folder / "tokenizer_config.json").write_text(json.dumps(fields, indent=1), encoding="utf-8")
    write_weights(folder, config, dtype)


def prompts(folder, count):
    """Texts of made-up words with their ids: 200 tokens on average, 100 to 300, the start token among them."""
    of = Tokenizer.from_file(str(folder / "tokenizer.json"))
    words = [token[1:] for token in of.get_vocab() if token.startswith("Ġ") and len(token) == 5]
    words.sort()
    random = np.random.Generator(np.random.SFC64(SEED + 1))
    made = []
    for length in random.integers(100, 301, count).tolist():
        chosen = [words[number] for number in random.integers(0, len(words), length).tolist()]
        while len(ids := of.encode(" ".join(chosen)).ids) > length:
            chosen.pop()
        made.append({"text": " ".join(chosen), "ids": ids})
    return made


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("folder", type=Path)
    parser.add_argument("--shape", choices=SHAPES, default="125m")
    parser.add_argument("--dtype", choices=TYPES, default="bf16")
    parser.add_argument("--prompts", type=Path, help="write prompts for the model in FOLDER to this file, and no model")
    parser.add_argument("--count", type=int, default=256, help="of prompts (default: 256)")
    arguments = parser.parse_args()
    if arguments.prompts:
        rows = prompts(arguments.folder, arguments.count)
        arguments.prompts.write_text(json.dumps(rows, indent=0), encoding="utf-8")
        print(f"{len(rows)} prompts, {sum(len(row['ids']) for row in rows):,} tokens")
    else:
        write_model(arguments.folder, arguments.shape, arguments.dtype)


if __name__ == "__main__":
    main()
