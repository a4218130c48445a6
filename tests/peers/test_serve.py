"""`serve` is a server that others' clients know: lm-eval gets what its own back end computes, OpenAI's client works."""

import json
import os
import random
import subprocess
import sys
from contextlib import contextmanager
from pathlib import Path

import pytest
import yaml

import small_model

HERE = Path(__file__).resolve().parent
LM_EVAL, OPENAI = (os.environ.get(name, "") for name in ["LM_EVAL", "OPENAI"])
CLOSE = 1e-3
WORDS = "the cat sat on a mat while seven dogs read Goethe’s Faust, naïvely — or so it seemed to us all in May".split()


@contextmanager
def served(folder, *arguments):
    """The address of a server with the model of a folder, and its name."""
    command = [os.environ["INSTIL"], "serve", "--model", folder, "--quantize", "none", "--port", "0", "--json", "-q", *arguments]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as server:
        try:
            told = json.loads(server.stdout.readline())
            yield told["base_url"], told["model"]
        finally:
            server.terminate()
            assert server.wait(60) == 0


@pytest.fixture(scope="module")
def model(tmp_path_factory):
    return small_model.save(tmp_path_factory.mktemp("model"))


@pytest.fixture(scope="module")
def tasks(tmp_path_factory):
    """Three tasks of made-up rows: choices, whole texts, and texts to be continued."""
    folder = tmp_path_factory.mktemp("tasks")
    chance = random.Random(20261121)

    def text(most):
        return " ".join(chance.choice(WORDS) for _ in range(chance.randint(3, most)))

    rows = [
        {"text": text(40), "choices": [text(8) for _ in range(chance.randint(2, 5))], "answer": 0, "long": text(700)}
        for _ in range(40)
    ]
    (folder / "rows.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows), "utf-8")
    common = {
        "dataset_path": "json",
        "dataset_kwargs": {"data_files": {"test": str(folder / "rows.jsonl")}},
        "test_split": "test",
        "metadata": {"version": 1},
    }
    kinds = {
        "made_choices": {
            "output_type": "multiple_choice", "doc_to_text": "{{text}}", "doc_to_choice": "{{choices}}",
            "doc_to_target": "answer", "metric_list": [{"metric": "acc"}],
        },
        "made_texts": {
            "output_type": "loglikelihood_rolling", "doc_to_text": "", "doc_to_target": "{{long}}",
            "metric_list": [{"metric": "bits_per_byte"}],
        },
        "made_continuations": {
            "output_type": "generate_until", "doc_to_text": "{{text}}", "doc_to_target": "{{text}}",
            "generation_kwargs": {"until": ["\n\n", "the"], "max_gen_toks": 24}, "metric_list": [{"metric": "exact_match"}],
        },
    }
    for name, kind in kinds.items():
        (folder / f"{name}.yaml").write_text(yaml.safe_dump({"task": name, **common, **kind}), "utf-8")
    return folder, list(kinds)


def lm_eval(tasks, backend, arguments):
    """The answers by task and row."""
    folder, names = tasks
    done = subprocess.run(
        [sys.executable, HERE / "serve_lm_eval.py", folder, backend, arguments, *names],
        env=os.environ | {"PYTHONPATH": LM_EVAL, "HF_HUB_OFFLINE": "1", "HF_DATASETS_CACHE": str(folder / "cache")},
        capture_output=True, text=True, check=False,
    )
    assert done.returncode == 0, done.stderr[-4000:]
    return {task["task"]: task["rows"] for task in map(json.loads, done.stdout.splitlines())}


@pytest.mark.skipif(not Path(LM_EVAL.split(":")[0], "lm_eval").is_dir(), reason="lm-eval isn't installed")
def test_lm_eval_gets_what_its_own_back_end_computes(model, tasks, found):
    # Long texts are cut into windows; what lm-eval calls the length is two more with a server for the same ones.
    own = lm_eval(tasks, "hf", f"pretrained={model},dtype=float32,max_length=1024")
    with served(model) as (base, _):
        arguments = f"model=any,base_url={base}/completions,tokenizer={model},num_concurrent=8,max_length=1026,max_retries=1"
        ours = lm_eval(tasks, "local-completions", arguments)
    worst, count = 0.0, 0
    for name in ["made_choices", "made_texts"]:
        for mine, theirs in zip(flat(ours[name]), flat(own[name]), strict=True):
            worst = max(worst, abs(mine - theirs))
            count += 1
    assert count > 150
    assert worst <= CLOSE, worst
    assert ours["made_continuations"] == own["made_continuations"]
    found(f"serve: lm-eval local-completions, {count} log-likelihoods within {worst:.1e} of its transformers back end, "
          f"{len(ours['made_continuations'])} continuations the same")


def flat(answers):
    """Every number in nested lists, in order; that a text is the likeliest counts as a number."""
    if isinstance(answers, list):
        return [number for answer in answers for number in flat(answer)]
    return [float({"True": 1, "False": 0}.get(answers, answers))]


@pytest.fixture(scope="module")
def openai():
    if not Path(OPENAI, "openai").is_dir():
        pytest.skip("OpenAI's client isn't installed")
    sys.path.append(OPENAI)
    import openai

    return openai


def test_openais_client_completes_converses_and_streams(model, openai, found):
    with served(model, "--api-key", "key", "--name", "small") as (base, name):
        client = openai.OpenAI(base_url=base, api_key="key", max_retries=0)
        assert [one.id for one in client.models.list()] == [name] == ["small"]
        assert client.models.retrieve("small").id == "small"

        asked = {"model": "any", "prompt": ["a cat", "a dog"], "max_tokens": 12, "n": 2, "seed": 4, "temperature": 0.9}
        whole = client.completions.create(**asked, logprobs=2, echo=True)
        assert [choice.index for choice in whole.choices] == [0, 1, 2, 3]
        assert whole.model == "any" and whole.usage.total_tokens == whole.usage.prompt_tokens + whole.usage.completion_tokens
        for choice in whole.choices:
            logprobs = choice.logprobs
            assert logprobs.token_logprobs[0] is None and all(one < 0 for one in logprobs.token_logprobs[1:])
            assert len(logprobs.tokens) == len(logprobs.top_logprobs) == len(logprobs.text_offset)
            # Of the prompt each letter is a token; random weights go on with bytes that are no text.
            prompt = asked["prompt"][choice.index // 2]
            assert logprobs.tokens[:len(prompt)] == list(prompt) and logprobs.text_offset[:len(prompt)] == list(range(len(prompt)))
        plain = client.completions.create(**asked)
        assert [one.text for one in whole.choices] == [
            asked["prompt"][choice.index // 2] + choice.text for choice in plain.choices
        ]
        pieces = ["", "", "", ""]
        for chunk in client.completions.create(**asked, stream=True, stream_options={"include_usage": True}):
            for choice in chunk.choices:
                pieces[choice.index] += choice.text
            usage = chunk.usage
        assert pieces == [choice.text for choice in plain.choices] and usage == plain.usage

        asked = {
            "model": "small", "messages": [{"role": "system", "content": "be kind"}, {"role": "user", "content": "a cat?"}],
            "max_completion_tokens": 20, "seed": 1,
        }
        whole = client.chat.completions.create(**asked, logprobs=True, top_logprobs=3)
        choice = whole.choices[0]
        assert choice.message.role == "assistant" and choice.finish_reason in ["stop", "length"]
        assert len(choice.logprobs.content) == whole.usage.completion_tokens
        assert all(len(token.top_logprobs) == 3 for token in choice.logprobs.content)
        with client.chat.completions.create(**asked, stream=True) as stream:
            deltas = [chunk.choices[0] for chunk in stream]
        assert deltas[0].delta.role == "assistant" and deltas[-1].finish_reason == choice.finish_reason
        assert "".join(delta.delta.content or "" for delta in deltas) == choice.message.content

        with pytest.raises(openai.BadRequestError) as error:
            client.chat.completions.create(**asked, response_format={"type": "json_schema", "json_schema": {"name": "a", "schema": {}}})
        assert error.value.param == "response_format"
        with pytest.raises(openai.BadRequestError) as error:
            client.completions.create(model="any", prompt=[5] * 3000, max_tokens=1)
        assert error.value.code == "context_length_exceeded" and "3000" in str(error.value) and "2048" in str(error.value)
        with pytest.raises(openai.AuthenticationError):
            openai.OpenAI(base_url=base, api_key="other", max_retries=0).models.list()
    found(f"serve: the openai client {openai.__version__} completes, converses and streams")
