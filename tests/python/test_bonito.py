"""The published library's interface, on recorded completions."""

import json
from types import SimpleNamespace

import pyarrow as pa
import pytest

import instil
from instil import Bonito, SamplingParams

CONTEXTS = ["  A cat sat.\n", "\x1cA dog ran.\x1f", "{{context}} is a slot"]
PROMPT = "<|tasktype|>\n{}\n<|context|>\n{}\n<|task|>\n"
COMPLETIONS = [
    [" {{context}} Is it a cat?\n<|pipe|>\nYes ", "Q? Yes"],
    ["<|pipe|>", "a<|pipe|>b<|pipe|>c"],
    ["Write it.<|pipe|>{{context}}", "{{ context }} Q<|pipe|>A"],
]


@pytest.fixture
def recording(tmp_path):
    lines = [
        {"prompt": PROMPT.format("natural language inference", context.strip()), "completion": completion}
        for context, completions in zip(CONTEXTS, COMPLETIONS)
        for completion in completions
    ]
    path = tmp_path / "replay.jsonl"
    path.write_text("".join(json.dumps(line) + "\n" for line in lines))
    return path


@pytest.fixture
def passages():
    # A column `id` that isn't one, and others, are no matter.
    return pa.table({"id": ["same"] * 3, "context": CONTEXTS, "other": [1, 2, 3]})


def test_rows_are_the_published_librarys(recording, passages):
    bonito = Bonito("recorded", replay=recording)
    rows = bonito.generate_tasks(passages, context_col="context", task_type="nli", sampling_params=SamplingParams(n=2, max_tokens=256))
    assert rows.to_pylist() == [
        {"input": "A cat sat. Is it a cat?", "output": "Yes"},
        {"input": "", "output": ""},
        {"input": "Write it.", "output": "{{context}} is a slot"},
        {"input": "{{ context }} Q", "output": "A"},
    ]


def test_n_is_honoured_and_full_names_are_taken(recording, passages):
    bonito = Bonito("recorded", replay=recording)
    rows = bonito.generate_tasks(passages, "context", "natural language inference", SamplingParams(n=1))
    assert rows.num_rows == 3


def test_an_unknown_kind_is_a_value_error(recording, passages):
    with pytest.raises(ValueError, match="NLI"):
        Bonito("recorded", replay=recording).generate_tasks(passages, "context", "NLI", SamplingParams())


def test_vllms_parameters_are_taken(recording, passages):
    vllm = SimpleNamespace(
        n=2, temperature=0.5, top_p=0.95, top_k=-1, min_p=0.0, max_tokens=256, min_tokens=0, seed=2, stop=[],
        repetition_penalty=1.0, presence_penalty=0.0, frequency_penalty=0.0, stop_token_ids=[], logit_bias=None,
    )
    bonito = Bonito("recorded", replay=recording)
    assert bonito.generate_tasks(passages, "context", "nli", vllm, num_proc=4).num_rows == 4
    vllm.logit_bias = {7: 1.0}
    with pytest.raises(instil.UsageError, match="logit_bias"):
        bonito.generate_tasks(passages, "context", "nli", vllm)


def test_a_missing_column_is_told(recording, passages):
    with pytest.raises(instil.InputError, match="there is no column `text`") as caught:
        Bonito("recorded", replay=recording).generate_tasks(passages, "text", "nli", SamplingParams())
    assert "`context`" in caught.value.hint


def test_options_for_gpus_change_nothing():
    with pytest.warns(UserWarning, match="`tensor_parallel_size`, `gpu_memory_utilization`"):
        Bonito("recorded", replay="x", tensor_parallel_size=2, gpu_memory_utilization=0.9)
