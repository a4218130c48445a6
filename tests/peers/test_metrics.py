"""The numbers of `eval` beside scikit-learn, rouge-score and SQuAD's metric, on random texts and labels."""

import json
import random
import re
import string
from collections import Counter

import numpy
import pytest
from rouge_score import rouge_scorer
from sklearn import metrics

from conftest import instil

WORDS = (
    "the a an of in cat cats running runs generalization relational happily flies dying skies the, (a) U.S. e-mail "
    "naïve 2021 3.5 it's don't Über ﬁne théâtre 東京 K a_b  \u2028x beautifully geologists possibly analogously "
    "succeeded controlled agreed conditional hopping yyyy Anthem. theatre, an? LOGI"
).split(" ")


def texts(rng):
    """A text, now and then an empty one or one of blanks."""
    return " ".join(rng.choice(WORDS) for _ in range(rng.choice([0, 1, 1, 2, 3, 5, 9, 20])))


def squad_normalized(text):
    """`normalize_answer` of SQuAD's evaluate-v1.1.py, as it is published."""
    text = "".join(ch for ch in text.lower() if ch not in set(string.punctuation))
    return " ".join(re.sub(r"\b(a|an|the)\b", " ", text).split())


def squad_f1(prediction, truth):
    prediction, truth = squad_normalized(prediction).split(), squad_normalized(truth).split()
    same = sum((Counter(prediction) & Counter(truth)).values())
    if same == 0:
        return 0
    precision, recall = same / len(prediction), same / len(truth)
    return 2 * precision * recall / (precision + recall)


def ni_exact(prediction, truth):
    def normalized(text):
        return " ".join("".join(ch for ch in text.lower() if ch not in set(string.punctuation)).split())

    return normalized(prediction) == normalized(truth)


def evaluate(tmp_path, benchmark, rows, answers, *flags):
    """The items and the report of answers to rows that are asked about by their number."""
    (tmp_path / "own.yaml").write_text(benchmark, encoding="utf-8")
    rows = [{"id": str(i), **row} for i, row in enumerate(rows)]
    (tmp_path / "rows.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
    recording = [{"prompt": f"Question {i}", "completion": answer} for i, answer in enumerate(answers)]
    (tmp_path / "answers.jsonl").write_text("".join(json.dumps(line) + "\n" for line in recording), encoding="utf-8")
    report = instil(
        "eval", "-b", tmp_path / "own.yaml", "--data", tmp_path / "rows.jsonl", "--replay", tmp_path / "answers.jsonl",
        "-o", tmp_path / "out", "--json", "-q", *flags,
    )
    items = [json.loads(line) for line in (tmp_path / "out" / "items.jsonl").read_text(encoding="utf-8").split("\n") if line]
    numbers = {number["metric"]: number for number in json.loads(report)["reports"][0]["metrics"]}
    return items, numbers


@pytest.mark.parametrize("compare", ["best", "first"])
def test_texts_are_compared_as_rouge_score_and_squad_do(compare, tmp_path, found):
    rng = random.Random(11)
    rows, answers = [], []
    for _ in range(1500):
        references = [texts(rng) for _ in range(rng.choice([1, 1, 2, 4]))]
        words = rng.choice(references).split(" ")
        rng.shuffle(words)
        answers.append(rng.choice([texts(rng), " ".join(words), rng.choice(references).upper()]))
        rows.append({"refs": references})
    names = ["squad_f1", "squad_em", "rouge_l", "exact_match"]
    benchmark = (
        "prompts: [{name: p, prompt: 'Question {{ id }}'}]\nreferences: refs\n"
        f"generate: {{max_tokens: 9, compare: {compare}}}\nmetrics: [{', '.join(names)}]\n"
    )
    items, numbers = evaluate(tmp_path, benchmark, rows, answers)
    assert len(items) == len(rows)
    scorer = rouge_scorer.RougeScorer(["rougeL"], use_stemmer=True)
    metric = {
        "squad_f1": squad_f1,
        "squad_em": lambda prediction, truth: float(squad_normalized(prediction) == squad_normalized(truth)),
        "rouge_l": lambda prediction, truth: scorer.score(prediction=prediction, target=truth)["rougeL"].fmeasure,
        "exact_match": lambda prediction, truth: float(ni_exact(prediction, truth)),
    }
    for name, of in metric.items():
        expected = []
        for row, answer, item in zip(rows, answers, items):
            references = row["refs"] if compare == "best" else row["refs"][:1]
            expected.append(max(of(answer.strip(), reference) for reference in references))
            assert item["scores"][name] == pytest.approx(expected[-1], abs=1e-12), (name, answer, references)
        assert numbers[name]["value"] == pytest.approx(numpy.mean(expected), abs=1e-12)
        error = numpy.std(expected, ddof=1) / len(expected) ** 0.5
        assert numbers[name]["standard_error"] == pytest.approx(error, abs=1e-12)
    found(f"rouge-score, SQuAD 1.1: {len(rows)} answers beside the {compare} reference, {', '.join(names)} equal to 1e-12")


def test_the_stemmer_is_nltks(tmp_path, found):
    """Words one by one: two are equal for ROUGE where their stems are."""
    stemmer = __import__("nltk.stem.porter", fromlist=["PorterStemmer"]).PorterStemmer()
    rng = random.Random(5)
    ends = "s es ies ied ed eed ing y ational tional enci izer bli alli entli eli ousli ization ation ator alism iveness".split()
    ends += "fulness ousness aliti iviti biliti fulli logi icate ative alize iciti ical ful ness ement ment ent ion sion".split()
    ends += "ance er able ant ism ate iti ous ive ize e ll".split()
    words = set()
    while len(words) < 4000:
        stem = "".join(rng.choice("aeiouybcdlmnrstwxz") for _ in range(rng.choice([1, 2, 3, 4, 5, 7])))
        words.add(stem + rng.choice(ends) + rng.choice(["", "", "ly", "s", "ed", "ing"]))
    words = sorted(words)
    answers = [stemmer.stem(word) if len(word) > 3 else word for word in words]
    # A stem that is stemmed again may lose more, so the pair is right where NLTK's own is.
    again = [stemmer.stem(stem) if len(stem) > 3 else stem for stem in answers]
    benchmark = (
        "prompts: [{name: p, prompt: 'Question {{ id }}'}]\nreferences: refs\ngenerate: {max_tokens: 9}\nmetrics: [rouge_l]\n"
    )
    items, _ = evaluate(tmp_path, benchmark, [{"refs": word} for word in words], answers)
    wrong = [(word, stem) for word, stem, twice, item in zip(words, answers, again, items) if item["scores"]["rouge_l"] != (stem == twice)]
    assert not wrong, wrong[:5]
    found(f"nltk: {len(words)} random words have the stems of its PorterStemmer")


@pytest.mark.parametrize("labels", [2, 3, 7])
def test_labels_are_counted_as_scikit_learn_counts_them(labels, tmp_path, found):
    rng = random.Random(labels)
    # One label is never right, and one is never guessed.
    truth = [f"label {rng.randrange(labels)}" for _ in range(400)]
    guess = [t if rng.random() < 0.4 else f"label {rng.randrange(1, labels + 1)}" for t in truth]
    benchmark = (
        "prompts: [{name: p, prompt: 'Question {{ id }}'}]\nreferences: label\ngenerate: {max_tokens: 9}\n"
        "metrics: [accuracy, macro_f1, weighted_f1]\n"
    )
    _, numbers = evaluate(tmp_path, benchmark, [{"label": label} for label in truth], guess)
    expected = {
        "accuracy": metrics.accuracy_score(truth, guess),
        "macro_f1": metrics.f1_score(truth, guess, average="macro", zero_division=0),
        "weighted_f1": metrics.f1_score(truth, guess, average="weighted", zero_division=0),
    }
    for name, value in expected.items():
        assert numbers[name]["value"] == pytest.approx(value, abs=1e-12), name
        low, high = numbers[name]["interval"]
        assert low < value < high
    commonest = Counter(truth).most_common(1)[0][0]
    constant = [min(label for label, count in Counter(truth).items() if count == Counter(truth)[commonest])] * len(truth)
    assert numbers["accuracy"]["majority"] == pytest.approx(metrics.accuracy_score(truth, constant), abs=1e-12)
    assert numbers["macro_f1"]["majority"] == pytest.approx(metrics.f1_score(truth, constant, average="macro"), abs=1e-12)
    # The percentile bootstrap of the same statistic, drawn by NumPy: as wide, to the noise of a thousand draws.
    draws = numpy.random.default_rng(1).integers(0, len(truth), (1000, len(truth)))
    right = numpy.array([t == g for t, g in zip(truth, guess)], dtype=float)
    low, high = numpy.percentile(right[draws].mean(axis=1), [2.5, 97.5])
    assert numbers["accuracy"]["interval"] == pytest.approx([low, high], abs=0.012)
    found(f"scikit-learn: accuracy, macro and weighted F1 of {len(truth)} guesses at {labels} labels equal to 1e-12")
