"""What `convert` writes, as trainers read it: TRL trains on each of its forms, axolotl's, LLaMA-Factory's and
lm-eval's own loaders read what their companion files name, `datasets` loads every folder."""

import json
import os
import runpy
import subprocess
import sys
from pathlib import Path

import datasets
import pytest

from conftest import instil

HERE = Path(__file__).resolve().parent
STEPS = 2

datasets.disable_progress_bars()


def turn(role, content):
    return {"role": role, "content": content}


CHATS = [
    {"messages": [turn("system", "Be brief."), turn("user", "Is the mill wheel turning?"), turn("assistant", "Yes, since dawn.")]},
    {"messages": [turn("user", "Who mends the race?"), turn("assistant", "The miller."), turn("user", "And the gates?"),
                  turn("assistant", "The owner of the weir.")]},
    {"messages": [turn("user", "Say \"<|im_end|>\" or a ||| b.\n\nThen stop."), turn("assistant", "No: {{ so }} — 50 % — \u2028 ünï.")]},
    {"messages": [turn("user", "Count to three."), turn("assistant", "1, 2, 3")]},
]
TASKS = [
    {"instruction": "Name the part of the mill.", "input": "It is turned by the water.", "output": "The wheel."},
    {"instruction": "Name the part of the mill.", "input": "It holds the water back.", "output": "The weir."},
    {"instruction": "Say how many gates there are.", "input": "", "output": "Seven"},
    {"instruction": "Add.", "input": "1, 2", "output": "3"},
]
PAIRS = [
    {"prompt": "Which stone turns?", "chosen": " The runner.", "rejected": " The bedstone."},
    {"prompt": "Which stone lies still?", "chosen": " The bedstone.", "rejected": " The runner, I think."},
    {"prompt": "What is ground?", "chosen": " Oats and barley.", "rejected": " Stones."},
    {"prompt": "When?", "chosen": " In autumn.", "rejected": " Never."},
]
LABELLED = [
    {"prompt": f"Is {number} even?", "completion": " Yes." if number % 3 else " No.", "label": (number % 2 == 0) == bool(number % 3)}
    for number in range(1, 9)
]
TEXTS = [{"text": f"The {part} of the mill is kept in repair."} for part in ["wheel", "race", "weir", "stone"]]
SOURCES = {"chats": CHATS, "texts": TEXTS, "tasks": TASKS, "pairs": PAIRS, "labelled": LABELLED}

# Every form that TRL trains on, and some that its program brings to one of them: the shape and what it is made of.
TRL = {
    "text": "texts",
    "messages": "chats",
    "prompt-completion": "tasks",
    "prompt-completion-messages": "chats",
    "preference": "pairs",
    "preference-messages": "pairs",
    "preference-implicit": "pairs",
    "preference-implicit-messages": "pairs",
    "unpaired": "labelled",
    "unpaired-messages": "labelled",
    "alpaca": "tasks",
    "flan": "tasks",
    "sharegpt": "chats",
    "preference-chat": "pairs",
    "openai-dpo": "pairs",
}
AXOLOTL = {
    "messages": "chats",
    "axolotl-chat": "chats",
    "sharegpt": "chats",
    "pygmalion": "chats",
    "alpaca": "tasks",
    "gpteacher": "tasks",
    "prompt-completion": "tasks",
    "flan": "tasks",
    "super-ni-rows": "tasks",
    "question-answer": "tasks",
    "metharme": "tasks",
    "oasst": "tasks",
    "text": "texts",
    "preference": "pairs",
    "preference-question": "pairs",
    "preference-instruction": "pairs",
    "preference-chat": "pairs",
    "preference-sharegpt": "pairs",
    "preference-messages": "pairs",
    "preference-implicit-messages": "pairs",
    "unpaired": "labelled",
}
LLAMA_FACTORY = {
    "messages": "chats",
    "sharegpt": "chats",
    "alpaca": "tasks",
    "llamafactory-alpaca": "chats",
    "prompt-completion": "tasks",
    "super-ni-rows": "tasks",
    "text": "texts",
    "preference": "pairs",
    "preference-chat": "pairs",
    "preference-sharegpt": "pairs",
    "unpaired": "labelled",
}
LM_EVAL = {
    "messages": "chats",
    "alpaca": "tasks",
    "prompt-completion": "tasks",
    "flan": "tasks",
    "text": "texts",
    "preference": "pairs",
    "preference-sharegpt": "pairs",
}


@pytest.fixture(scope="module")
def model(tmp_path_factory):
    pytest.importorskip("torch", reason="torch is not installed here")
    pytest.importorskip("transformers", reason="transformers is not installed here")
    import small_model

    return small_model.save(tmp_path_factory.mktemp("model"))


def export(folder, shapes, companion):
    """A folder for each shape, with its rows in one file and a companion; gives the files."""
    files = {}
    for shape, source in shapes.items():
        place = folder / shape
        place.mkdir(parents=True)
        given = folder / f"{source}.jsonl"
        given.write_text("".join(json.dumps(row, ensure_ascii=False) + "\n" for row in SOURCES[source]), encoding="utf-8")
        name = shape.replace("-", "_")
        files[shape] = place / f"{name}.jsonl"
        instil("convert", given, "--to", shape, "-o", files[shape], "--companion", companion, "-q")
    return files


def rows_of(file):
    return [json.loads(line) for line in file.read_text(encoding="utf-8").split("\n") if line]


def peer(script, package, *arguments):
    """Runs one of the readers beside this file with the package of a tool; gives the objects that it prints."""
    path = os.environ.get(package.upper().replace("-", "_"), "")
    if not Path(path, package.replace("-", "_").replace("llama_factory", "llamafactory")).is_dir():
        pytest.skip(f"{package} is not installed here")
    environment = {**os.environ, "PYTHONPATH": path, "PYTHONDONTWRITEBYTECODE": "1", "PYTHONWARNINGS": "ignore"}
    done = subprocess.run(
        [sys.executable, HERE / script, *map(str, arguments)], env=environment, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr[-4000:]
    return [json.loads(line) for line in done.stdout.splitlines()]


def test_datasets_loads_every_folder_plain_and_streaming(tmp_path, found):
    """Files of rows with all of their companions beside them, of which none is taken for rows."""
    shapes = {shape: source for shape, source in {**LLAMA_FACTORY, **TRL}.items() if shape in LLAMA_FACTORY}
    files = export(tmp_path, shapes, "llama-factory")
    for shape, file in files.items():
        instil("companion", file)
        plain = datasets.load_dataset(str(file.parent), split="train", cache_dir=str(tmp_path / "cache"))
        streamed = datasets.load_dataset(str(file.parent), split="train", streaming=True)
        assert plain.num_rows == len(rows_of(file)) == len(SOURCES[shapes[shape]])
        assert list(streamed) == plain.to_list()
    found(f"datasets: {len(files)} converted shapes with their companions beside them, plain = streaming")


@pytest.mark.parametrize("shape", TRL)
def test_trl_trains(shape, model, tmp_path, found, monkeypatch, capfd, recwarn):
    """The program that instil writes, for two steps; TRL warns where a prompt is not what its completion begins with."""
    trl = pytest.importorskip("trl", reason="trl is not installed here")
    file = export(tmp_path, {shape: TRL[shape]}, "trl")[shape]
    monkeypatch.setenv("HF_DATASETS_CACHE", str(tmp_path / "cache"))
    monkeypatch.setattr(sys, "argv", [
        "out.trl.py", "--model_name_or_path", model, "--output_dir", str(tmp_path / "out"), "--max_steps", str(STEPS),
        "--per_device_train_batch_size", "2", "--use_cpu", "--report_to", "none", "--bf16", "false", "--logging_steps", "1",
        "--disable_tqdm", "true", "--save_strategy", "no",
    ])
    after = runpy.run_path(str(file.with_suffix(".trl.py")), run_name="__main__")
    log = after["trainer"].state.log_history
    assert after["trainer"].state.global_step == STEPS
    losses = [float(entry["loss"]) for entry in log if "loss" in entry]
    assert len(losses) == STEPS and all(loss > 0 for loss in losses)
    said = "".join(capfd.readouterr()) + "".join(str(warning.message) for warning in recwarn)
    assert "mismatch" not in said.lower() and "not a prefix" not in said.lower(), said
    found(f"trl {trl.__version__}: {shape}, {STEPS} steps, no word about mismatched prompts")


def test_axolotl_reads_what_its_yaml_names(model, tmp_path, found):
    files = export(tmp_path, AXOLOTL, "axolotl")
    read = peer("read_axolotl.py", "axolotl", model, *(file.with_suffix(".axolotl.yaml") for file in files.values()))
    for (shape, file), made in zip(files.items(), read, strict=True):
        rows = made["rows"]
        assert len(rows) == len(rows_of(file)), shape
        for given, row in zip(SOURCES[AXOLOTL[shape]], rows, strict=True):
            match AXOLOTL[shape]:
                case "chats":
                    said = [message["content"] for message in given["messages"] if message["role"] == "assistant"]
                    asked = [message["content"] for message in given["messages"] if message["role"] != "assistant"]
                    assert all(text in row["text"] for text in said + asked), (shape, row)
                    assert row["counted"] == "".join(f"{text}<|im_end|>" for text in said) or row["counted"] == "".join(
                        f"{text}<|im_end|>\n" for text in said
                    ), (shape, row)
                case "tasks":
                    assert given["instruction"] in row["text"] and given["input"] in row["text"], (shape, row)
                    # axolotl's `metharme` ends an answer three times.
                    end = "<|im_end|>" * (3 if shape == "metharme" else 1)
                    assert row["counted"].strip() == given["output"] + end, (shape, row)
                case "texts":
                    assert row["counted"].removesuffix("<|im_end|>") == given["text"], (shape, row)
                case "pairs":
                    assert given["prompt"] in row["prompt"], (shape, row)
                    assert given["chosen"].strip() in row["chosen"] and given["rejected"].strip() in row["rejected"], (shape, row)
                case "labelled":
                    assert given["prompt"] in row["prompt"] and given["completion"] in row["completion"]
                    assert row["label"] == given["label"]
    found(f"axolotl: {len(files)} shapes by its own schema and loaders, the loss on the answers alone")


def test_llama_factory_reads_its_entries(tmp_path, found):
    count = 0
    for shape, file in export(tmp_path, LLAMA_FACTORY, "llama-factory").items():
        [read] = peer("read_llama_factory.py", "llama-factory", file.parent, file.stem)
        assert len(read["rows"]) == len(rows_of(file)), shape
        assert read["ranking"] == (LLAMA_FACTORY[shape] == "pairs")
        for given, row in zip(SOURCES[LLAMA_FACTORY[shape]], read["rows"], strict=True):
            asked = "".join(message["content"] for message in row["_prompt"])
            answers = [message["content"] for message in row["_response"]]
            match LLAMA_FACTORY[shape]:
                case "chats":
                    messages = list(given["messages"])
                    system = messages.pop(0)["content"] if messages[0]["role"] == "system" else ""
                    assert row["_prompt"] + row["_response"] == messages, shape
                    assert (row["_system"] or "") == system, shape
                case "tasks":
                    assert given["instruction"] in asked and given["input"] in asked
                    assert answers == [given["output"]], shape
                case "texts":
                    assert (asked, answers) == (given["text"], [])
                case "pairs":
                    assert given["prompt"] == asked and answers == [given["chosen"], given["rejected"]], shape
                case "labelled":
                    assert given["prompt"] == asked
                    assert answers.index(given["completion"]) == (0 if given["label"] else 1)
        count += 1
    found(f"LLaMA-Factory: {count} shapes by its own loader, prompts, answers and systems as they were")


def test_lm_eval_reads_its_tasks(tmp_path, found):
    files = export(tmp_path, LM_EVAL, "lm-eval")
    read = {made["task"]: made for made in peer("read_lm_eval.py", "lm-eval", tmp_path, *(file.stem for file in files.values()))}
    for shape, file in files.items():
        made = read[file.stem]
        assert len(made["asked"]) == len(rows_of(file)), shape
        for given, asked, wanted in zip(SOURCES[LM_EVAL[shape]], made["asked"], made["wanted"], strict=True):
            prompt = asked[0][0]
            match LM_EVAL[shape]:
                case "chats":
                    *before, last = given["messages"]
                    assert (prompt, wanted) == ("\n\n".join(message["content"] for message in before), last["content"]), shape
                case "texts":
                    assert prompt == given["text"]
                case "tasks":
                    assert given["instruction"] in prompt and given["input"] in prompt and wanted == given["output"], shape
                case "pairs":
                    choices = [continuation.lstrip("\n") for _, continuation in asked]
                    assert prompt == given["prompt"] and choices == [given["chosen"], given["rejected"]], shape
                    assert int(wanted) == 0, shape
        expected = {"text": "word_perplexity"}.get(shape, "acc" if LM_EVAL[shape] == "pairs" else "exact_match")
        assert any(measure.startswith(expected) for measure in made["measures"]), (shape, made["measures"])
    found(f"lm-eval: {len(files)} shapes as tasks, its dummy model measured")
