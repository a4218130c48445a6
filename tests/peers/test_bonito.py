"""`--reference` beside the published library: its prompts and its post-processing on fuzzed completions.

The library is the package of PyPI, version 0.1.0. Its repository's HEAD (1e1efb2) differs in one thing:
it puts the passage into the response too, where 0.1.0 leaves `{{context}}` there. `--reference`
promises HEAD's behaviour, so that difference is made here, and it is asserted that it is the only one.
"""

import importlib.util
import json
import os
import random
import sys
import zipfile
from pathlib import Path

import datasets
import pytest

from conftest import instil

SEED = 20240228
CONTEXTS = 125
SAMPLES = 5  # 16 kinds x 125 contexts x 5 samples = 10,000 completions

PIPE, SLOT = "<|pipe|>", "{{context}}"
# Everything that Python strips, what Unicode calls blank besides, and what only looks blank.
BLANKS = [chr(c) for c in range(sys.maxunicode + 1) if chr(c).isspace()]
BLANKS += ["\u200b", "\u200d", "\u2060", "\ufeff", "\u180e", "\u00ad", "\r\n", "\n\n", " \t "]
WORDS = ["A cat sat.", "Who?", "Is it", "yes", "Ωmega", "\u202eright", "heron", "🦩", "e\u0301", "\0", "\\n", '"', "é" * 9]
MARKERS = ["<|tasktype|>", "<|context|>", "<|task|>", "<|pipe|", "|pipe|>", "<|PIPE|>", "<| pipe |>", "<|<|pipe|>|>"]
SLOTS = [SLOT, SLOT + SLOT, "{{ context }}", "{{Context}}", "{context}", "{{{context}}}", "{{{{context}}}}", "{{context}", "{{con", "text}}", "{{{{context}}text}}", "{{", "}}"]


@pytest.fixture(scope="session")
def bonito(tmp_path_factory):
    """The library's one module that needs no GPU, loaded alone."""
    wheel = next(Path(os.environ["BONITO"]).glob("bonito_llm-0.1.0-*.whl"))
    path = Path(zipfile.ZipFile(wheel).extract("bonito/abstract.py", tmp_path_factory.mktemp("bonito")))
    spec = importlib.util.spec_from_file_location("bonito_abstract", path)
    module = importlib.util.module_from_spec(spec)
    sys.modules["bonito_abstract"] = module
    spec.loader.exec_module(module)
    datasets.disable_caching()
    datasets.disable_progress_bars()
    return module


def blanks(chance):
    return "".join(chance.choice(BLANKS) for _ in range(chance.choice([0, 0, 1, 2, 4])))


def pieces(chance, of, most):
    return "".join(chance.choice(of) + chance.choice(["", " "]) for _ in range(chance.randrange(most + 1)))


def make_context(chance, number):
    """A passage: never blank (instil counts those as rejects before any prompt), each another one."""
    inner = pieces(chance, WORDS + MARKERS + SLOTS + BLANKS + [PIPE], 6)
    return blanks(chance) + f"{chance.choice(WORDS[:4])} {number} {inner}" + blanks(chance)


def make_completion(chance, context):
    half = lambda: blanks(chance) + pieces(chance, WORDS + SLOTS + MARKERS + BLANKS[:12] + [context], 5) + blanks(chance)
    pipes = chance.choices([0, 1, 2, 3], weights=[1, 12, 1, 1])[0]
    return PIPE.join(half() for _ in range(pipes + 1))


def make_vectors(chance):
    """The cases that a reader would think of, before chance makes the others."""
    contexts = ["  A cat sat.\n", "\x1c\x1dA cat sat again.\x1e\x1f", "{{context}} is a slot", "x<|pipe|>y", "\u200bthin\ufeff"]
    completions = [
        f" {SLOT} Is it a cat?\n{PIPE}\nYes ", "Q? Yes", f"a{PIPE}b{PIPE}c", PIPE, f"Write a text.\n{PIPE}\n{SLOT}",
        "{{ context }} Q" + f"{PIPE}A", "", "\x1c" + PIPE + "\x1f", f"{SLOT}{PIPE}", f"{PIPE}{SLOT}",
    ]
    contexts += [make_context(chance, number) for number in range(CONTEXTS - len(contexts))]
    samples = [[make_completion(chance, context) for _ in range(SAMPLES)] for context in contexts]
    for index, completion in enumerate(completions):
        samples[index % 5][index // 5] = completion
    return contexts, samples


def post_process(library, contexts, samples):
    """What `Bonito.generate_tasks` does after the model has answered (its model.py, end)."""
    examples = [
        {"context": context, "prediction": text.strip()} for context, texts in zip(contexts, samples) for text in texts
    ]
    made = library._postprocess_dataset(datasets.Dataset.from_list(examples), context_col="context")
    return made.to_list(), examples


def as_head(rows, examples):
    """The rows with HEAD's one change, made from 0.1.0's rows and nothing else."""
    kept = [example for example in examples if example["prediction"].count(PIPE) == 1]
    assert len(kept) == len(rows)
    return [
        {"input": row["input"], "output": row["output"].replace(SLOT, example["context"].strip())}
        for row, example in zip(rows, kept)
    ]


def write_lines(path, rows):
    path.write_bytes(b"".join(json.dumps(row, ensure_ascii=False).encode() + b"\n" for row in rows))


def test_reference_is_the_published_library(bonito, tmp_path, found):
    chance = random.Random(SEED)
    library = bonito.AbstractBonito()
    completions = changed = kept = 0
    for short, full in bonito.SHORTFORM_TO_FULL_TASK_TYPES.items():
        contexts, samples = make_vectors(chance)
        data = datasets.Dataset.from_dict({"text": contexts})
        prompts = library._prepare_bonito_input(data, short, "text")["input"]
        assert list(prompts) == list(library._prepare_bonito_input(data, full, "text")["input"])
        published, examples = post_process(library, contexts, samples)
        expected = as_head(published, examples)

        passages, recording, output = (tmp_path / f"{short}.{name}.jsonl" for name in ["passages", "recording", "out"])
        write_lines(passages, ({"text": context} for context in contexts))
        # The library's prompts are the keys: one byte of difference, and instil finds no completion.
        write_lines(
            recording,
            ({"prompt": prompt, "completion": text} for prompt, texts in zip(prompts, samples) for text in texts),
        )
        instil(
            "generate", passages, "--reference", "--replay", recording, "--task", short, "-n", SAMPLES,
            "--format", "bonito", "-o", output,
        )
        ours = [json.loads(line) for line in output.read_text(encoding="utf-8").split("\n")[:-1]]
        for number, (our, their) in enumerate(zip(ours, expected)):
            assert our == their, f"{short}, row {number}"
            assert list(our) == ["input", "output"]
        assert len(ours) == len(expected), short

        # Where 0.1.0 itself disagrees, it is by the placeholder it leaves, and by nothing else.
        differ = [(our, old) for our, old in zip(ours, published) if our != old]
        assert all(our["input"] == old["input"] and SLOT in old["output"] for our, old in differ)
        changed += len(differ)
        kept += len(ours)
        completions += len(examples)

    assert completions == 10_000
    assert changed > 500 and kept > 6_000, "the fuzz should meet every case often"
    found(
        f"bonito-llm 0.1.0: {completions} fuzzed completions (seed {SEED}), {kept} rows byte-equal to HEAD's rule,"
        f" {completions - kept} dropped by both; {changed} rows where 0.1.0 leaves {SLOT} in the response"
    )


def test_an_unknown_kind_is_refused_by_both(bonito, tmp_path):
    data = datasets.Dataset.from_dict({"text": ["A cat sat."]})
    with pytest.raises(ValueError, match="not recognized"):
        bonito.AbstractBonito()._prepare_bonito_input(data, "NLI", "text")
    with pytest.raises(AssertionError, match="unknown task kind `NLI`"):
        instil("generate", "examples/", "--task", "NLI", "-o", tmp_path / "never")
