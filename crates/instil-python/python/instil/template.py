"""Templates of one's own for ``cook``: a rule that is a Python function."""

from __future__ import annotations

import inspect
import json
import random
import re
from collections.abc import Callable, Mapping, Sequence
from typing import Any, TypeAlias, Union

from instil._instil import Rules
from instil.errors import UsageError

__all__ = ["Draw", "Redraw", "Template", "Word", "template"]

KnobValue: TypeAlias = Union[int, float, "tuple[int, int]", "tuple[float, float]", Sequence[str]]


class Word(int):
    """A word that was drawn. Which one it is is settled when the sample is written; until then words are equal or not."""

    def __repr__(self) -> str:
        return f"<word {int(self)}>"


class Redraw(Exception):
    """Raised by a function that makes samples: what was drawn has no answer or several, and is to be drawn anew."""


class Draw(random.Random):
    """The chance of one sample: ``random.Random`` with a seed of its own, and words."""

    def __init__(self, seed: int, words: int) -> None:
        super().__init__(seed)
        self._words = words

    def words(self, n: int, *, without: Sequence[Word] = ()) -> list[Word]:
        """``n`` different words, none of them one of ``without``."""
        left_out = {int(word) for word in without}
        if n + len(left_out) > self._words:
            raise UsageError(f"{n} words of {self._words - len(left_out)}", hint="ask for less, or take more pool_words")
        drawn = self.sample(range(self._words), min(n + len(left_out), self._words))
        return [Word(word) for word in drawn if word not in left_out][:n]

    def word(self, *, without: Sequence[Word] = ()) -> Word:
        """One word, none of ``without``."""
        return self.words(1, without=without)[0]


class Template:
    """A function that makes samples, with the prompt that words them. ``instil.cook`` takes it by itself or in a list."""

    def __init__(self, make: Callable[..., Any], name: str, declaration: dict[str, Any], is_list: dict[str, bool]) -> None:
        self.name = name
        self._make = make
        self._solve: Callable[..., Any] | None = None
        self._declaration = declaration
        self._is_list = is_list
        self.__doc__ = make.__doc__
        self.__wrapped__ = make

    def __call__(self, *args: Any, **knobs: Any) -> Any:
        return self._make(*args, **knobs)

    def __repr__(self) -> str:
        return f"<template {self.name}>"

    def solve(self, function: Callable[..., Any]) -> Callable[..., Any]:
        """Takes a second function, which finds the answer from the prompt's words alone; ``cook(…, verify=True)`` calls it.

        It is given the slots and knobs that it names, a slot as a list of strings, and returns the answer's words.
        """
        self._solve = function
        return function

    def _hold(self) -> Rules:
        arguments = ", ".join(f"{name} = {_written(value)}" for name, value in self._declaration.items())
        solve = None if self._solve is None else self._solved
        sources = [_source(function) for function in (self._make, self._solve) if function is not None]
        return Rules(f"template({arguments})\n", "\n".join(sources), self._made, solve)

    def _made(self, seed: int, words: int, knobs: dict[str, Any]) -> list[tuple[str, list[list[int | str]]]] | None:
        try:
            made = self._make(Draw(seed, words), **_asked(self._make, knobs))
        except Redraw:
            return None
        return [(name, self._items(name, value)) for name, value in made.items()]

    def _items(self, name: str, value: Any) -> list[list[int | str]]:
        items = value if self._is_list.get(name) else [value]
        return [[_part(word) for word in (item if isinstance(item, (list, tuple)) else [item])] for item in items]

    def _solved(self, slots: dict[str, list[list[str]]], knobs: dict[str, Any]) -> list[str] | None:
        assert self._solve is not None
        shown = {name: items if self._is_list.get(name) else items[0] for name, items in slots.items()}
        found = self._solve(**_asked(self._solve, {**shown, **knobs}))
        if found is None:
            return None
        return [str(word) for word in found] if isinstance(found, (list, tuple)) else str(found).split()


def _part(word: Any) -> int | str:
    if isinstance(word, Word):
        return int(word)
    return word if isinstance(word, str) else str(word)


def _asked(function: Callable[..., Any], values: Mapping[str, Any]) -> dict[str, Any]:
    """Those of the values that a function has parameters for."""
    parameters = inspect.signature(function).parameters
    if any(parameter.kind is parameter.VAR_KEYWORD for parameter in parameters.values()):
        return dict(values)
    return {name: value for name, value in values.items() if name in parameters}


def _source(function: Callable[..., Any]) -> str:
    """What tells a function from another of the same name: its text, or where there is none its code."""
    try:
        return inspect.getsource(function)
    except (OSError, TypeError):
        code = getattr(function, "__code__", None)
        return repr((code.co_code, code.co_consts, code.co_names)) if code is not None else repr(function)


def _written(value: Any) -> str:
    """A value as a declaration has it: scripts are written in Python's syntax."""
    if isinstance(value, str):
        return json.dumps(value, ensure_ascii=False)
    if isinstance(value, Mapping):
        return "{" + ", ".join(f"{_written(key)}: {_written(part)}" for key, part in value.items()) + "}"
    if isinstance(value, (list, tuple)):
        inner = ", ".join(_written(part) for part in value)
        return f"[{inner}]" if isinstance(value, list) else f"({inner})"
    return repr(value)


def template(
    *,
    prompt: str | Sequence[str],
    completion: str = "{answer}",
    instruction: str | Sequence[str] = (),
    knobs: Mapping[str, KnobValue] | None = None,
    name: str | None = None,
    family: str = "generation",
    options: str | None = None,
) -> Callable[[Callable[..., Mapping[str, Any]]], Template]:
    """Makes a template for ``cook`` of a function that makes one sample.

    The function is given a ``Draw``, seeded for this sample, and the knobs that it names, as they were drawn. It returns a
    dict with a list of words for each ``{slot}`` of the prompt, and ``answer``. Words are what the draw gives; beside them
    stand ``Yes``, ``No``, letters and small numbers. The same seed and the same text of the function make the same rows,
    on any number of threads.

    Args:
        prompt: How a sample is worded, with its slots in braces; of several each sample draws one.
        completion: What is learnt.
        instruction: A line before the prompt, where the wording has one; of several each sample draws one.
        knobs: What can be set, with its default: a number, a share, a pair to draw between, or words to choose from.
        name: What recipes and settings call it [default: the function's name].
        family: selection, search, comparison or generation.
        options: The slot that holds the options which evaluation scores.

    >>> import instil
    >>> @instil.template(prompt="Document: {doc}\\nWhich word comes after {word}?\\nAnswer:", knobs={"length": (20, 40)})
    ... def next_word(draw, length):
    ...     doc = draw.words(length)
    ...     at = draw.randrange(length - 1)
    ...     return {"doc": doc, "word": doc[at], "answer": doc[at + 1]}
    >>> @next_word.solve
    ... def _(doc, word):
    ...     return doc[doc.index(word[0]) + 1]
    >>> run = instil.cook(next_word, rows=50, seed=1, verify=True)
    >>> len(run), run.report["sets"]["next_word"]["kept"]
    (50, 50)
    """
    prompts = [prompt] if isinstance(prompt, str) else list(prompt)
    # `{options/\\n@. *}` shows a slot as a list; how is the program's matter.
    shown = [hole for text in [*prompts, completion] for hole in re.findall(r"\{([A-Za-z]\w*)(/)?", text)]
    is_list = {slot: bool(shape) for slot, shape in shown}

    def declared(function: Callable[..., Mapping[str, Any]]) -> Template:
        called: str = name or str(getattr(function, "__name__", "template"))
        about = (inspect.getdoc(function) or "").partition("\n")[0] or f"{called}, from Python."
        declaration: dict[str, Any] = {"name": called, "prompt": prompts, "completion": completion, "about": about}
        declaration |= {"family": family, "instruction": [instruction] if isinstance(instruction, str) else [*instruction]}
        if knobs:
            declaration["knobs"] = dict(knobs)
        if options:
            declaration["options"] = options
        return Template(function, called, declaration, is_list)

    return declared
