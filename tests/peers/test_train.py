"""The goldens of training are what torch and peft say: they are made anew and compared.

The Rust tests compare training with the goldens.
"""

import json

import numpy as np
import pytest
from safetensors.numpy import load_file

import train_goldens
from train_goldens import GOLDENS

COMMITTED = GOLDENS / "train"
RUNS = sorted(path.stem for path in COMMITTED.glob("*.safetensors"))
# Sums in another order, through four steps of an optimiser that divides by small numbers. Of a tensor's length.
FAR = 1e-4


@pytest.fixture(scope="module")
def made(tmp_path_factory, found):
    folder = tmp_path_factory.mktemp("goldens")
    train_goldens.make(folder)
    found(f"training: {len(RUNS)} runs of four steps made anew")
    return folder


def test_losses_are_the_same(made):
    anew, known = (json.loads((folder / "golden.json").read_text("utf-8")) for folder in (made, COMMITTED))
    assert sorted(known["runs"]) == RUNS
    for name, run in known["runs"].items():
        for key, numbers in run.items():
            np.testing.assert_allclose(anew["runs"][name][key], numbers, rtol=FAR, err_msg=f"{name}: {key}")
    assert {**anew, "runs": None} == {**known, "runs": None}


@pytest.mark.parametrize("run", RUNS)
def test_gradients_and_weights_are_the_same(made, run):
    anew, known = (load_file(folder / f"{run}.safetensors") for folder in (made, COMMITTED))
    assert anew.keys() == known.keys()
    for key, numbers in known.items():
        assert np.linalg.norm(anew[key] - numbers) <= FAR * np.linalg.norm(numbers), key
