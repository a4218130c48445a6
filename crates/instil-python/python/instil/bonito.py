"""The interface of the published Bonito library, so that code written for it runs as it is.

Signatures and results are those of the repository's HEAD (BatsResearch/bonito, 1e1efb2): the prompt, the split at
``<|pipe|>`` and the place of the passage are the same, byte for byte. What generates is instil's: a model on this
machine's processor, or a server.
"""

from __future__ import annotations

import os
import warnings
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from instil._run import Progress, rows_by
from instil._tables import Rows, given_as, kind_of, table_of
from instil.errors import InputError, UsageError

__all__ = ["Bonito", "SamplingParams"]

# Options of the engine that are instil's, too.
_OWN: Final = frozenset(
    "adapter api allow_errors concurrency endpoint journal quantize replay threads timeout weights_cache".split()
)
# What vLLM's parameters are at when they ask for nothing. Those that have a meaning here are read one by one.
_NEUTRAL: Final[Mapping[str, tuple[Any, ...]]] = {
    "bad_words": (None, []),
    "best_of": (None,),
    "guided_decoding": (None,),
    "ignore_eos": (False,),
    "include_stop_str_in_output": (False,),
    "length_penalty": (1.0,),
    "logit_bias": (None, {}),
    "logits_processors": (None, []),
    "min_tokens": (0,),
    "stop_token_ids": (None, []),
    "structured_outputs": (None,),
    "truncate_prompt_tokens": (None,),
    "use_beam_search": (False,),
}


@dataclass
class SamplingParams:
    """How completions are drawn; names and defaults are vLLM's, whose own objects are taken as well.

    Without ``seed`` every random choice comes from 0, and the same call gives the same rows.
    """

    n: int = 1
    presence_penalty: float = 0.0
    frequency_penalty: float = 0.0
    repetition_penalty: float = 1.0
    temperature: float = 1.0
    top_p: float = 1.0
    top_k: int = 0
    min_p: float = 0.0
    seed: int | None = None
    stop: str | Sequence[str] | None = None
    max_tokens: int | None = 16


def _sampling(params: Any, default_seed: int | None) -> dict[str, Any]:
    """Sampling as the program takes it, from any object with vLLM's attributes."""
    if isinstance(params, Sequence):
        raise UsageError("sampling_params is a list", hint="give one SamplingParams for all passages")
    for name, neutral in _NEUTRAL.items():
        value = getattr(params, name, neutral[0])
        if value not in neutral:
            raise UsageError(f"`{name}={value!r}` is not known here", hint=f"leave `{name}` out of sampling_params")

    def of(name: str, default: Any) -> Any:
        value = getattr(params, name, None)
        return default if value is None else value

    if getattr(params, "max_tokens", 16) is None:
        raise UsageError("`max_tokens=None` has no end", hint="name a number; the authors take 256")
    stop = of("stop", [])
    return {
        "samples": of("n", 1),
        "temperature": of("temperature", 1.0),
        "top_p": of("top_p", 1.0),
        "top_k": max(of("top_k", 0), 0),
        "min_p": of("min_p", 0.0),
        "max_tokens": of("max_tokens", 16),
        "repetition_penalty": of("repetition_penalty", 1.0),
        "presence_penalty": of("presence_penalty", 0.0),
        "frequency_penalty": of("frequency_penalty", 0.0),
        "stop": [stop] if isinstance(stop, str) else list(stop),
        "seed": of("seed", default_seed),
    }


class Bonito:
    """A task generator: ``Bonito("BatsResearch/bonito-v1")``.

    Args:
        model: A folder with weights, a .gguf file, an id of the Hub, or what ``endpoint`` calls its model.
        engine: Options of ``instil.generate`` that say which model and how it runs (``endpoint``, ``adapter``,
            ``quantize``, ``threads``, …), and of vLLM's ``LLM``: ``seed`` and ``max_model_len`` mean what they mean there;
            those for GPUs change nothing, and a warning says so.
    """

    def __init__(self, model: str | os.PathLike[str], **engine: Any) -> None:
        self._options: dict[str, Any] = {key: engine.pop(key) for key in [*engine] if key in _OWN}
        self._options["model"] = model
        self._options["window"] = engine.pop("max_model_len", None)
        self._seed: int | None = engine.pop("seed", None)
        if engine:
            names = ", ".join(f"`{name}`" for name in engine)
            warnings.warn(f"instil's engine has no {names}; the rows are the same without", stacklevel=2)

    def generate_tasks(
        self,
        text_dataset: Rows,
        context_col: str,
        task_type: str,
        sampling_params: Any,
        *,
        num_proc: int | None = None,
        progress: Progress | None = None,
    ) -> Any:
        """Makes tasks of one kind of each passage, ``n`` of each.

        Gives rows of ``input`` and ``output``, passage by passage; completions that can't be parsed are dropped, as the
        published library does. A passage of blanks alone is dropped before it is asked about, which it doesn't do.

        Args:
            text_dataset: The passages: a ``datasets.Dataset``, or any table.
            context_col: The column that holds them.
            task_type: The kind of task, by its short or full name.
            sampling_params: How completions are drawn: vLLM's object or ``instil.SamplingParams``.
            num_proc: Changes nothing; the published library's argument.
            progress: Called with how it goes on; what it raises ends the run.
        """
        del num_proc
        passages = _Passages(text_dataset, context_col)
        options = {
            **self._options,
            **_sampling(sampling_params, self._seed),
            "task": [task_type],
            "text_column": context_col,
            "reference": True,
            "format": "bonito",
            "keep_run": True,
        }
        run = rows_by("generate", passages, None, options, progress)
        return given_as(table_of(run).select(["input", "output"]), kind_of(text_dataset))


class _Passages:
    """One column of a table. Others are no matter: a column `id` would be taken for the passages' ids."""

    def __init__(self, data: Any, column: str) -> None:
        self._kind = kind_of(data)
        table = table_of(data)
        if column not in table.columns:
            columns = ", ".join(f"`{name}`" for name in table.columns)
            raise InputError(f"there is no column `{column}`", hint=f"there are {columns}")
        self._table = table.select([column])

    def __arrow_c_stream__(self, requested_schema: object | None = None) -> object:
        return self._table.__arrow_c_stream__(requested_schema)
