"""Adapters and 4-bit weights beside the Python peers: peft, transformers, bitsandbytes and gguf read what instil writes, and its
goldens are what they say.

The Rust tests compare the engine with the goldens.
"""

import json

import bitsandbytes
import gguf
import numpy as np
import peft
import pytest
import torch
from safetensors.numpy import load_file
from transformers import AutoModelForCausalLM, AutoTokenizer

import adapter_goldens
import nf4_goldens
from adapter_goldens import ADAPTERS, BASES, GOLDENS, base_model, ids_of, logits
from conftest import instil

# f32 sums in another order.
CLOSE = 1e-4
NAMES = [(name, base) for name, base, _, _ in ADAPTERS]


@pytest.fixture(scope="module")
def made(tmp_path_factory, found):
    folder = tmp_path_factory.mktemp("adapters")
    adapter_goldens.make(folder)
    found(f"adapters: {len(NAMES)} made anew by peft {peft.__version__}")
    return folder


@pytest.mark.parametrize(("name", "base"), NAMES)
def test_peft_says_the_same(made, name, base):
    anew, known = (load_file(folder / name / "golden.safetensors") for folder in (made, GOLDENS))
    np.testing.assert_array_equal(anew["ids"], known["ids"])
    np.testing.assert_allclose(anew["logits"], known["logits"], rtol=0, atol=2e-5)
    settings = [json.loads((folder / name / "adapter_config.json").read_text("utf-8")) for folder in (made, GOLDENS)]
    for key in ("r", "lora_alpha", "use_rslora", "target_modules", "rank_pattern", "alpha_pattern"):
        assert settings[0][key] == settings[1][key], key


def merged(tmp_path, name, base, *more):
    out = tmp_path / f"merged{more[-1] if more else ''}"
    if "gguf" in more:
        out = tmp_path / "merged.gguf"
    instil("merge", "--model", BASES / base, "--adapter", GOLDENS / name, "-o", out, "--dtype", "f32", "-q", *more)
    return out


@pytest.mark.parametrize(("name", "base"), NAMES)
def test_transformers_loads_merged_weights(tmp_path, name, base):
    out = merged(tmp_path, name, base)
    model, loading = AutoModelForCausalLM.from_pretrained(
        out, dtype=torch.float32, attn_implementation="eager", output_loading_info=True
    )
    assert not loading["missing_keys"] and not loading["mismatched_keys"], loading
    known = load_file(GOLDENS / name / "golden.safetensors")
    np.testing.assert_allclose(logits(model.eval(), ids_of(base)).numpy(), known["logits"], rtol=0, atol=CLOSE)
    text = "The first wheel ground forty sacks."
    ours, bases = (AutoTokenizer.from_pretrained(folder) for folder in (out, BASES / base))
    assert ours(text)["input_ids"] == bases(text)["input_ids"]


@pytest.mark.parametrize(("name", "base"), [pair for pair in NAMES if pair[0] != "gpt-j"])
def test_gguf_holds_the_merged_weights(tmp_path, name, base):
    folder, file = merged(tmp_path, name, base), merged(tmp_path, name, base, "--format", "gguf")
    tensors = load_file(folder / "model.safetensors")
    read = gguf.GGUFReader(file)
    config = json.loads((folder / "config.json").read_text("utf-8"))
    architecture = bytes(read.fields["general.architecture"].parts[-1]).decode()
    names = gguf.get_tensor_name_map(gguf.MODEL_ARCH[architecture.upper()], config["num_hidden_layers"])
    theirs = {tensor.name: tensor.data for tensor in read.tensors}
    assert len(theirs) == len(tensors)
    for key, rows in tensors.items():
        mapped = names.get_name(key, try_suffixes=(".weight", ".bias"))
        assert mapped in theirs, key
        heads = config["num_key_value_heads" if "k_proj" in key else "num_attention_heads"]
        if architecture == "llama" and ("q_proj" in key or "k_proj" in key):
            # llama.cpp's own permutation (convert_hf_to_gguf.py, LlamaModel.permute).
            rows = rows.reshape(heads, 2, len(rows) // heads // 2, *rows.shape[1:]).swapaxes(1, 2).reshape(rows.shape)
        if "query_key_value" in key:
            # GPTNeoXModel.modify_tensors: by head to by kind.
            rows = rows.reshape(heads, 3, -1, *rows.shape[1:]).swapaxes(0, 1).reshape(rows.shape)
        np.testing.assert_array_equal(theirs[mapped].reshape(rows.shape), rows, err_msg=key)
    for key in ("tokenizer.ggml.model", "tokenizer.ggml.tokens", "tokenizer.ggml.token_type", f"{architecture}.block_count"):
        assert key in read.fields, key


def test_peft_loads_what_instil_writes(found):
    """A Rust test asserts that `written` has the bytes that `Adapter::write` gives of the first golden."""
    name, base = NAMES[0]
    model = peft.PeftModel.from_pretrained(base_model(base), GOLDENS / "written").eval()
    known = load_file(GOLDENS / name / "golden.safetensors")
    np.testing.assert_allclose(logits(model, ids_of(base)).numpy(), known["logits"], rtol=0, atol=CLOSE)
    found("adapters: what instil writes loads in peft with its logits; merged models in transformers and gguf")


def test_bitsandbytes_says_the_same(found):
    anew, known = nf4_goldens.matrices(), load_file(nf4_goldens.GOLDENS / "matrices.safetensors")
    assert anew.keys() == known.keys()
    for key, numbers in known.items():
        np.testing.assert_array_equal(anew[key].numpy(), numbers, err_msg=key)
    found(f"nf4: bitsandbytes {bitsandbytes.__version__} gives the golden bytes of {len(nf4_goldens.CASES)} matrices")
