"""The Python package beside the libraries that its users have: their objects go in, come out, and are used further."""

import json
import os
import random
import subprocess
import sys
from pathlib import Path

import datasets
import polars
import pyarrow as pa
import pytest

from conftest import ROOT
from test_bonito import as_head, bonito, make_vectors, post_process, write_lines  # noqa: F401

package = pytest.importorskip("instil", reason="the wheel isn't installed; tests/peers/run builds it")

SEED = 20240301


def addresses(column):
    return [buffer.address for chunk in column.chunks for buffer in chunk.buffers() if buffer is not None]


@pytest.fixture
def pairs():
    rows = [{"prompt": f"What is {n}?", "completion": f" It is {n}."} for n in range(10_000)]
    return datasets.Dataset.from_list(rows)


def test_datasets_go_in_whole_and_come_back(pairs, found):
    made = package.convert(pairs, to="messages").rows
    assert isinstance(made, datasets.Dataset) and made.num_rows == 10_000
    assert made[9_999]["messages"] == [
        {"role": "user", "content": "What is 9999?"},
        {"role": "assistant", "content": " It is 9999."},
    ]
    # Its table is Arrow's, and is shared as it is.
    table = package._instil.Table.of(pairs.data.table)
    assert addresses(pa.table(table)["prompt"]) == addresses(pairs.data.table["prompt"])
    found("python: 10,000 rows of datasets.Dataset in and out, no buffer copied on the way in")


def test_rows_that_were_chosen_are_those_that_are_read(pairs):
    chosen = pairs.shuffle(seed=3).select(range(100)).filter(lambda row: "7" in row["prompt"])
    made = package.convert(chosen, to="prompt-completion").rows
    assert made["prompt"][:] == chosen["prompt"][:]


def test_splits_and_streams_of_datasets(pairs):
    with pytest.raises(package.InputError, match="several splits"):
        package.convert(datasets.DatasetDict({"train": pairs}), to="messages")
    assert len(package.convert(pairs.to_iterable_dataset(), to="messages")) == 10_000


def test_a_dataset_from_disk_is_read(pairs, tmp_path):
    pairs.save_to_disk(tmp_path / "pairs")
    assert len(package.convert(datasets.load_from_disk(tmp_path / "pairs"), to="messages")) == 10_000


def test_polars_frames_go_in_and_come_back():
    frame = polars.DataFrame({"prompt": ["a?", "b?", None], "completion": [" a", " b", " c"]})
    for given in (frame, frame.lazy()):
        run = package.convert(given, to="messages")
        assert isinstance(run.rows, polars.DataFrame)
        assert run.rows["messages"].list.len().to_list()[:2] == [2, 2]
    parts = polars.concat([frame[:1], frame[1:]], rechunk=False)
    assert len(package.convert(parts, to="messages")) == len(package.convert(frame, to="messages"))
    assert polars.DataFrame(package.cook("mcqa", rows=10)).shape == (10, 3)


def test_generated_rows_are_those_of_the_program(tmp_path):
    run = package.generate(ROOT / "examples", seed=5, output=tmp_path / "of_python")
    program = [os.environ["INSTIL"], "generate", ROOT / "examples", "--seed", "5", "-o", tmp_path / "of_program", "-q"]
    subprocess.run(program, check=True)
    files = [sorted((tmp_path / of / "data").iterdir()) for of in ("of_python", "of_program")]
    assert [[path.read_bytes() for path in of] for of in files][0] == [path.read_bytes() for path in files[1]]
    loaded = datasets.load_dataset(str(tmp_path / "of_python"), cache_dir=str(tmp_path / "cache"))["train"]
    assert loaded["id"][:] == run.to_datasets()["id"][:]


def test_trl_trains_on_what_comes_back(tmp_path, found):
    import transformers
    import trl

    texts = datasets.Dataset.from_list([{"text": path.read_text()} for path in sorted((ROOT / "examples").glob("*.txt"))])
    rows = package.generate(texts, task=["exqa"], chunk_chars=300, format="prompt-completion").rows
    assert isinstance(rows, datasets.Dataset)
    base = package.train(
        rows, output=tmp_path / "base", new_model=ROOT / "recipes/models/tiny.json", frame="plain", max_tokens=256, steps=2
    )
    tokenizer = transformers.AutoTokenizer.from_pretrained(base.output)
    tokenizer.pad_token = tokenizer.pad_token or tokenizer.eos_token
    settings = trl.SFTConfig(
        output_dir=str(tmp_path / "trl"), max_steps=2, per_device_train_batch_size=2, report_to="none", use_cpu=True,
        bf16=False, save_strategy="no", max_length=256,
    )
    model = transformers.AutoModelForCausalLM.from_pretrained(base.output)
    trainer = trl.SFTTrainer(model=model, args=settings, train_dataset=rows, processing_class=tokenizer)
    loss = trainer.train().training_loss
    assert loss > 0
    found(f"python: TRL {trl.__version__} trained on {rows.num_rows} rows as they came back")


def test_bonito_is_the_published_librarys(bonito, tmp_path, found):  # noqa: F811
    chance = random.Random(SEED)
    library = bonito.AbstractBonito()
    completions = kept = 0
    for short in ("nli", "exqa", "text_gen"):
        contexts, samples = make_vectors(chance)
        data = datasets.Dataset.from_dict({"id": ["one"] * len(contexts), "context": contexts})
        prompts = library._prepare_bonito_input(data, short, "context")["input"]
        published, examples = post_process(library, contexts, samples)
        lines = [{"prompt": prompt, "completion": text} for prompt, texts in zip(prompts, samples) for text in texts]
        write_lines(tmp_path / f"{short}.jsonl", lines)
        params = package.SamplingParams(max_tokens=256, top_p=0.95, temperature=0.5, n=len(samples[0]))
        ours = package.Bonito("recorded", replay=tmp_path / f"{short}.jsonl").generate_tasks(
            data, context_col="context", task_type=short, sampling_params=params
        )
        assert isinstance(ours, datasets.Dataset) and ours.column_names == ["input", "output"]
        assert ours.to_list() == as_head(published, examples)
        kept += ours.num_rows
        completions += len(examples)
    found(f"python: Bonito.generate_tasks on {completions} fuzzed completions (seed {SEED}), {kept} rows equal to HEAD's rule")


USE = '''
from pathlib import Path
from typing import Any

import instil
from instil import Bonito, SamplingParams

def progress(text: str, share: float | None) -> None:
    print(text, share)

run: instil.Run = instil.generate([Path("a.txt"), "b/"], task=["nli"], samples=2, progress=progress)
rows: Any = instil.convert(run, to="messages", strict=True).rows
trained = instil.train(run, output="out", model="base", r=8)
report: dict[str, Any] = instil.evaluate("pubmedqa", model="base", adapter=trained)
compared: dict[str, Any] = instil.compare({"base": "out/base", "tuned": [Path("out/1"), "out/2"]}, seed=1)
bonito = Bonito("model", threads=2)
bonito.generate_tasks(run, context_col="text", task_type="nli", sampling_params=SamplingParams(n=2))
count: int = len(instil.cook({"mcqa": 2}, rows=3, set={"mcqa.options": 4}))
'''
MISUSE = '''
import instil

instil.generate("a.txt", samples="two")
instil.generate(3)
instil.cook("mcqa", row=3)
'''


@pytest.mark.parametrize("checker", [["mypy", "--strict"], ["pyright", "--outputjson", "--pythonpath", sys.executable]])
def test_type_checkers_accept_the_stubs(checker, tmp_path, found):
    # A folder of its own: the tests' modules are no part of what is checked.
    (tmp_path / "use.py").write_text(USE)
    (tmp_path / "misuse.py").write_text(MISUSE)
    (tmp_path / "pyrightconfig.json").write_text('{"typeCheckingMode": "strict"}')
    check = [sys.executable, "-m", *checker]
    used = subprocess.run([*check, "use.py"], cwd=tmp_path, capture_output=True, text=True)
    assert used.returncode == 0, used.stdout + used.stderr
    misused = subprocess.run([*check, "misuse.py"], cwd=tmp_path, capture_output=True, text=True)
    lines = {4, 5, 6}
    if checker[0] == "pyright":
        told = {one["range"]["start"]["line"] + 1 for one in json.loads(misused.stdout)["generalDiagnostics"]}
    else:
        told = {int(line.split(":")[1]) for line in misused.stdout.splitlines() if ": error:" in line}
    assert told == lines, misused.stdout
    found(f"python: {checker[0]} takes a use of the package in its strictest mode, and finds three mistakes")
