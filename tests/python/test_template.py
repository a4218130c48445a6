"""Templates that are Python functions."""

import pytest

import instil


@instil.template(
    prompt="Words: {words}\nHow often is this there: {word}\nAnswer:",
    instruction="Count.",
    knobs={"length": (6, 12), "noise": 0.25, "order": ["free", "sorted"]},
)
def how_often(draw, length, noise):
    """How often a word stands in a list."""
    assert 6 <= length <= 12 and noise == 0.25
    word = draw.word()
    times = draw.randint(1, 4)
    words = [word] * times + draw.words(length - times, without=[word])
    draw.shuffle(words)
    return {"words": words, "word": word, "answer": times}


@how_often.solve
def _(words, word):
    return words.count(word[0])


@instil.template(prompt="Options:{options/\n@. *}\nWhich has {word}?\nAnswer:", options="options", family="selection")
def which(draw):
    options = [draw.words(3) for _ in range(3)]
    right = draw.randrange(3)
    word = draw.choice(options[right])
    if sum(word in option for option in options) != 1:
        raise instil.Redraw
    return {"options": options, "word": word, "answer": "ABC"[right]}


def test_rows_are_what_the_function_makes():
    run = instil.cook(how_often, rows=200, seed=2, verify=True)
    assert len(run) == run.report["sets"]["how_often"]["kept"] == 200
    for row in run.rows.to_pylist():
        text, question = row["prompt"].split("Words: ")[1].split("\nHow often is this there: ")
        word = question.split("\n")[0]
        assert text.split().count(word) == int(row["completion"])
    assert {row["completion"] for row in run.rows.to_pylist()} == {" 1", " 2", " 3", " 4"}


def test_the_same_seed_makes_the_same_rows():
    one, two, other = (instil.cook(how_often, rows=100, seed=s, threads=t).rows for s, t in ((1, 1), (1, 4), (2, 1)))
    assert one == two != other


def test_templates_are_mixed_and_set():
    run = instil.cook({how_often: 1, which: 2, "mcqa": 1}, rows=40, set={"how_often.length": 8})
    assert {name: one["kept"] for name, one in run.report["sets"].items()} == {"how_often": 10, "which": 20, "mcqa": 10}
    prompts = run.rows["prompt"].to_pylist()
    assert sum("Which has" in prompt for prompt in prompts) == 20
    words = [prompt.split("Words: ")[1].split("\n")[0] for prompt in prompts if "Words: " in prompt]
    assert {len(text.split()) for text in words} == {8}


def test_it_is_still_a_function():
    made = how_often(instil.Draw(3, 100), 8, 0.25)
    assert set(made) == {"words", "word", "answer"} and len(made["words"]) == 8
    assert which.name == "which" and how_often.__doc__.startswith("How often")


def test_faults_are_told():
    @instil.template(prompt="{a}\nAnswer:")
    def broken(draw):
        raise KeyError("no such thing")

    with pytest.raises(instil.InputError, match="the function that makes samples raised KeyError") as caught:
        instil.cook(broken, rows=3)
    assert "KeyError: 'no such thing'" in str(caught.value) and "test_template.py" in str(caught.value)

    @instil.template(prompt="{a}\nAnswer:")
    def wrong(draw):
        return {"a": draw.words(2), "answer": "perhaps"}

    with pytest.raises(instil.InputError, match="makes `perhaps` among its words"):
        instil.cook(wrong, rows=3)
    with pytest.raises(instil.UsageError, match="solves nothing"):
        instil.cook(wrong, rows=3, verify=True)

    @instil.template(prompt="{a}\nAnswer:", name="mcqa")
    def taken(draw):
        return {"a": draw.words(2), "answer": draw.word()}

    with pytest.raises(instil.UsageError, match="there is another template `mcqa`"):
        instil.cook(taken, rows=3)


def test_another_function_is_another_template(tmp_path):
    instil.cook(how_often, rows=20, output=tmp_path / "out")
    again = instil.cook(how_often, rows=20, output=tmp_path / "out")
    before = set(again.rows["completion"].to_pylist())
    assert again.report["finished"]

    @instil.template(prompt="Words: {words}\nAnswer:", name="how_often")
    def how_often_else(draw):
        return {"words": draw.words(3), "answer": "1"}

    # The recipe is the same, and what it names isn't: the rows are made anew.
    other = instil.cook(how_often_else, rows=20, output=tmp_path / "out")
    assert set(other.rows["completion"].to_pylist()) == {" 1"} != before
