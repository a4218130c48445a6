"""reasoning-gym's contract for its datasets, held to what `cook` makes, and its scores beside those of `eval`."""

import json
import os
import sys
from importlib.metadata import version

import pytest

from conftest import instil

TEMPLATES = [
    "mcqa", "commonsense", "disambiguation", "doc_qa", "retrieval", "lookup", "matching", "support", "poetry", "last_word",
    "summary",
]  # fmt: skip
SIZE = 60
PEER = os.environ.get("REASONING_GYM", "")

pytestmark = pytest.mark.skipif(not os.path.isdir(PEER), reason="reasoning-gym is not installed here")
sys.path.append(PEER)


def dataset(template, seed, folder):
    """Rows of `cook` as one of reasoning-gym's datasets."""
    from reasoning_gym.dataset import ProceduralDataset

    path = folder / f"{template}-{seed}-{len(list(folder.iterdir()))}.jsonl"
    instil("cook", template, "-n", SIZE, "--seed", seed, "--verify", "-q", "-o", path)

    class Cooked(ProceduralDataset):
        def __init__(self):
            super().__init__(config=None, seed=seed, size=SIZE)
            self.rows = [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]

        def __getitem__(self, index):
            row = self.rows[index]
            metadata = {"source_dataset": template, "source_index": index}
            return {"question": row["prompt"], "answer": row["completion"].strip(), "metadata": metadata}

    return Cooked()


@pytest.mark.parametrize("template", TEMPLATES)
def test_cooked_rows_keep_the_contract(template, tmp_path, found):
    """The same seed gives the same rows and another one others; each row has question, answer and metadata; the right
    answer scores 1 by reasoning-gym's scorer, other rows' answers less."""
    made, again, other = dataset(template, 42, tmp_path), dataset(template, 42, tmp_path), dataset(template, 43, tmp_path)
    assert len(made) == SIZE
    assert list(made) == list(again)
    assert all(one != two for one, two in zip(made, other, strict=True))
    for row in made:
        assert row["question"] and row["answer"] and row["metadata"]["source_dataset"] == template
        assert made.score_answer(row["answer"], row) == 1.0
        assert made.score_answer(None, row) == made.score_answer("", row) == 0.0
        for wrong in {two["answer"] for two in made} - {row["answer"]}:
            assert made.score_answer(wrong, row) < 1.0
    if template == TEMPLATES[-1]:
        found(f"reasoning-gym {version('reasoning-gym')}: its datasets' contract holds for {len(TEMPLATES)} templates of cook")


@pytest.mark.parametrize("template", TEMPLATES)
def test_eval_scores_as_the_contract_asks(template, tmp_path):
    """`eval` with the template's own scorer: right answers get 1, answers of other rows less."""
    benchmark = tmp_path / "one.yaml"
    benchmark.write_text(f"name: one\ncook: {{template: {template}, rows: {SIZE}}}\n", encoding="utf-8")
    asked = [json.loads(line) for line in instil("eval", "-b", benchmark, "--dry-run", "--json").splitlines()]
    answers = [row["completion"] for row in asked]
    scores = {}
    for name, those in [("right", answers), ("wrong", answers[1:] + answers[:1])]:
        replay = tmp_path / f"{name}.jsonl"
        lines = [json.dumps({"prompt": row["prompt"], "completion": said}) for row, said in zip(asked, those, strict=True)]
        replay.write_text("\n".join(lines), encoding="utf-8")
        report = json.loads(instil("eval", "-b", benchmark, "--replay", replay, "--json", "-q"))
        scores[name] = {one["metric"]: one["value"] for one in report["reports"][0]["metrics"]}["verified"]
    assert scores["right"] == 1.0
    assert scores["wrong"] < 0.8
