"""The local engine's goldens are what transformers says: they are made anew and compared.

The Rust tests compare the engine with the goldens.
"""

import json

import numpy as np
import pytest
from safetensors.numpy import load_file

import decoder_goldens
from conftest import ROOT
from decoder_goldens import GOLDENS

# Logits are some +-5; processors and thread counts sum in different orders. README.md of the goldens says more.
LOGITS = 2e-5
LIKELIHOOD = 2e-4
FILES = sorted(str(path.relative_to(GOLDENS)) for path in GOLDENS.rglob("*") if path.is_file())
SAME = [
    name for name in FILES if not name.endswith(("golden.json", "golden.safetensors", "README.md", "tinystories.json"))
]
MODELS = [name.removesuffix("/golden.json") for name in FILES if name.endswith("/golden.json")]


@pytest.fixture(scope="module")
def made(tmp_path_factory, found):
    folder = tmp_path_factory.mktemp("goldens")
    decoder_goldens.make(folder)
    found(f"decoders: {len(MODELS)} models with {len(SAME)} files made anew")
    return folder


def test_the_files_are_the_same_ones(made):
    anew = {str(path.relative_to(made)) for path in made.rglob("*") if path.is_file()}
    assert anew | {"README.md", "tinystories.json"} == set(FILES) | {"tinystories.json"}


@pytest.mark.parametrize("name", SAME)
def test_weights_and_tokenizers_are_the_same_bytes(made, name):
    assert (made / name).read_bytes() == (GOLDENS / name).read_bytes()


@pytest.mark.parametrize("name", MODELS)
def test_transformers_says_the_same(made, name):
    anew, committed = (json.loads((folder / name / "golden.json").read_text("utf-8")) for folder in (made, GOLDENS))
    likelihoods_close(anew, committed)
    assert anew == committed
    logits, known = (load_file(folder / name / "golden.safetensors") for folder in (made, GOLDENS))
    assert logits.keys() == known.keys()
    for key, rows in known.items():
        np.testing.assert_allclose(logits[key], rows, rtol=0, atol=LOGITS, err_msg=key)


def test_real_weights_say_the_same(made, found):
    if not (made / "tinystories.json").is_file():
        found("decoders: TinyStories-656K not compared, it is not in ../shared/models")
        pytest.skip(f"needs {decoder_goldens.STORIES.relative_to(ROOT.parent)} beside the repository")
    anew, committed = (json.loads((folder / "tinystories.json").read_text("utf-8")) for folder in (made, GOLDENS))
    likelihoods_close(anew, committed)
    assert anew == committed


def likelihoods_close(anew, committed):
    """Compares the log-likelihoods and takes them out, so that the rest can be compared as it is."""
    for one, other in zip(anew["scores"], committed["scores"], strict=True):
        assert one.pop("log_likelihood") == pytest.approx(other.pop("log_likelihood"), abs=LIKELIHOOD, rel=0)
