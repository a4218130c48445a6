"""The goldens of T5 are what transformers, torch and peft say: they are made anew and compared. And what instil trains of a
T5 is loaded by transformers, with the same likelihoods.

The Rust tests compare the engine and training with the goldens.
"""

import json

import numpy as np
import pytest
import torch
from peft import PeftModel
from safetensors.numpy import load_file
from transformers import AutoTokenizer, T5ForConditionalGeneration

import t5_goldens
from conftest import instil
from t5_goldens import GOLDENS

MODELS = [name for name, *_ in t5_goldens.MODELS]
RUNS = [f"{name}-{kind}" for name in MODELS for kind in ("full", "lora")]
# Sums in another order, through ten steps of an optimiser that divides by small numbers.
FAR = 3e-4


@pytest.fixture(scope="module")
def made(tmp_path_factory, found):
    folder = tmp_path_factory.mktemp("t5")
    t5_goldens.make(folder)
    found(f"T5: {len(MODELS)} models and {len(RUNS)} runs of ten steps made anew")
    return folder


@pytest.mark.parametrize("name", MODELS)
def test_transformers_says_the_same(made, name):
    anew, known = (load_file(folder / name / "golden.safetensors") for folder in (made, GOLDENS))
    for key, numbers in known.items():
        np.testing.assert_allclose(anew[key], numbers, rtol=0, atol=2e-5)
    said = [json.loads((folder / name / "golden.json").read_text("utf-8")) for folder in (made, GOLDENS)]
    assert said[0]["greedy"] == said[1]["greedy"]


def test_transformers_maps_the_same_characters():
    tokenizer = AutoTokenizer.from_pretrained(GOLDENS / "normalising")
    for row in json.loads((GOLDENS / "normalising" / "texts.json").read_text("utf-8"))["texts"]:
        assert tokenizer(row["text"]).input_ids == row["ids"]
        assert tokenizer.decode(row["ids"], skip_special_tokens=True) == row["decoded"]


def test_losses_are_the_same(made):
    anew, known = (json.loads((folder / "train.json").read_text("utf-8")) for folder in (made, GOLDENS))
    assert list(known["runs"]) == RUNS
    for name, run in known["runs"].items():
        for key, numbers in run.items():
            np.testing.assert_allclose(anew["runs"][name][key], numbers, rtol=FAR, err_msg=f"{name}: {key}")


@pytest.mark.parametrize("name", MODELS)
@pytest.mark.parametrize("method", ["full", "lora"])
def test_transformers_loads_what_was_trained(tmp_path, name, method):
    rows = [{"prompt": "The mill has wheels", "completion": "three"}, {"prompt": "The axle had", "completion": "cracked"}]
    (tmp_path / "rows.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    out = tmp_path / "out"
    instil("train", tmp_path / "rows.jsonl", "--model", GOLDENS / name, "-o", out, "--method", method, "--epochs", "8",
           "--learning-rate", "1e-2", "--batch-size", "2", "-q")  # fmt: skip
    of = ["--model", out] if method == "full" else ["--model", GOLDENS / name, "--adapter", out]
    scored = instil("score", tmp_path / "rows.jsonl", *of, "--quantize", "none", "--eos", "-q").splitlines()
    base = GOLDENS / name if method == "lora" else out
    model = T5ForConditionalGeneration.from_pretrained(base, dtype=torch.float32)
    if method == "lora":
        model = PeftModel.from_pretrained(model, out)
    tokenizer = t5_goldens.Tokenizer.from_file(str(GOLDENS / name / "tokenizer.json"))
    for row, line in zip(rows, scored, strict=True):
        source, target = (torch.tensor([tokenizer.encode(row[key]).ids]) for key in ("prompt", "completion"))
        with torch.inference_mode():
            nll = model(input_ids=source, labels=target).loss.item() * target.shape[1]
        # Weights that are stored in bf16 are multiplied by activations in bf16; transformers has both in f32 here.
        near = 5e-2 if (name, method) == ("v1.1", "lora") else 1e-3
        assert abs(json.loads(line)["nll_nats"] - nll) < near, row
