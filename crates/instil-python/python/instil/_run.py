"""A verb, called; and what came of it."""

from __future__ import annotations

import json
import logging
import os
import tempfile
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any, TypeAlias

from instil import _instil
from instil._instil import Came, Kept, Table
from instil._tables import ARROW, DATASETS, POLARS, Given, given_as
from instil.errors import LimitMissed, ModelError, OutputError

Progress: TypeAlias = Callable[[str, float | None], object]
"""Called ten times a second at the most, with how the run goes on and the share that is done, where that is known.

What it raises ends the run."""

_log = logging.getLogger("instil")
_LIMIT_MISSED, _NOT_DONE = 1, 2


def _arguments(verb: str, options: Mapping[str, Any]) -> list[str]:
    """Options as the program's flags: the same names, with ``_`` for ``-``."""
    flags = {name: (is_switch, is_list) for name, is_switch, is_list in _instil.flags(verb)}
    arguments: list[str] = []
    for key, value in options.items():
        name = key.rstrip("_").replace("_", "-")
        is_switch, is_list = flags[name]
        if value is None or value is False:
            continue
        if is_switch:
            arguments.append(f"--{name}")
            continue
        if isinstance(value, Mapping):
            value = [f"{key}={_text(part)}" for key, part in value.items()]
        parts = [_text(value)] if isinstance(value, (str, os.PathLike, int, float)) else [_text(part) for part in value]
        if is_list:
            parts = [_instil.LIST.join(parts)] if parts else []
        arguments += [f"--{name}={part}" for part in parts]
    return arguments


def _text(value: Any) -> str:
    return os.fspath(value) if isinstance(value, os.PathLike) else str(value)


def call(
    verb: str, inputs: list[str], options: Mapping[str, Any], progress: Progress | None = None
) -> tuple[int, list[str]]:
    """Runs a verb; gives its exit code, 0 or 1, and what it would have printed to standard output."""
    said: list[str] = []

    def talk(line: str) -> None:
        said.append(line)
        _log.info("%s", line)

    arguments = ["instil", verb, *_arguments(verb, options), "--", *inputs]
    code, data = _instil.call(arguments, talk, progress)
    if code == _NOT_DONE:
        raise ModelError(said[-1] if said else "not done")
    return code, data


@dataclass(frozen=True, repr=False)
class Run:
    """What a verb made: rows, and an account of all that it didn't make rows of.

    ``rows`` are what was given, a ``datasets.Dataset`` for a ``datasets.Dataset``; for paths a ``pyarrow.Table``. Those of
    a run without ``output`` are in memory; files are read when rows are asked for. Other libraries take a run as it is, by
    ``__arrow_c_stream__``.

    >>> import instil, pyarrow as pa
    >>> labelled = pa.table({"prompt": ["2 + 2 ="], "completion": [" 4"]})
    >>> run = instil.convert(labelled, to="messages")
    >>> run.rows.to_pylist()
    [{'messages': [{'role': 'user', 'content': '2 + 2 ='}, {'role': 'assistant', 'content': ' 4'}]}]
    >>> run.report["rows"], run.report["finished"]
    (1, True)
    """

    _path: Path
    report: dict[str, Any]
    """Every stage: what came in, what came out, what was rejected by which reason."""
    _kind: str | None = None
    # What stayed in memory of a run without an output, and the folder of all else, which goes with the run.
    _came: Came | None = field(default=None, compare=False)
    _keep: Any = field(default=None, compare=False)

    def __repr__(self) -> str:
        place = "" if self._came else f", output={os.fspath(self._path)!r}"
        return f"Run(rows={self.report.get('rows')}{place})"

    @cached_property
    def output(self) -> Path:
        """The dataset folder or the file. Of a run without ``output`` a folder that goes when the run is forgotten: its rows
        are written there when this is asked for."""
        if self._came is not None:
            for name in self._came.splits:
                self._write("data", name, self._came.table(name))
            if (provenance := self._came.provenance()) is not None:
                self._write("provenance", "train", provenance)
        return self._path

    def _write(self, part: str, split: str, table: Table) -> None:
        (self._path / part).mkdir(exist_ok=True)
        table.to_parquet(self._path / part / f"{split}-00000-of-00001.parquet")

    @cached_property
    def rows(self) -> Any:
        """The rows; of several splits those of ``train``."""
        return given_as(self._table, self._kind)

    @cached_property
    def splits(self) -> dict[str, Any]:
        """The rows of each split, by its name."""
        if self._came is not None:
            others = [name for name in self._came.splits if name != "train"]
            return {"train": self.rows, **{name: given_as(self._split(name), self._kind) for name in others}}
        data = self._path / "data"
        if not data.is_dir():
            return {"train": self.rows}
        names = dict.fromkeys(path.name.rsplit("-", 3)[0] for path in sorted(data.glob("*.parquet")))
        return {name: given_as(self._split(name), self._kind) for name in names}

    @cached_property
    def rejects(self) -> Any:
        """What was not used: where it comes from, the reason's word, the raw text."""
        return given_as(Table.from_parquet([self._beside("rejects.parquet")]), self._kind)

    @cached_property
    def provenance(self) -> Any:
        """Where each row comes from: document, bytes, template, model, seed; of the split ``train``."""
        if self._came is not None and (table := self._came.provenance()) is not None:
            return given_as(table, self._kind)
        folder = self._path / "provenance"
        paths = sorted(folder.glob("train-*.parquet")) if folder.is_dir() else [self._beside("provenance.parquet")]
        return given_as(Table.from_parquet(paths), self._kind)

    @property
    def recipe(self) -> str:
        """The settled run as TOML, every default filled in: what ``instil run`` takes, where all inputs are files."""
        return self._beside("recipe.toml").read_text(encoding="utf-8")

    @cached_property
    def _table(self) -> Table:
        if self._came is not None or self._path.is_dir():
            return self._split("train")
        if self._path.suffix == ".parquet":
            return Table.from_parquet([self._path])
        return Table.from_rows(str(self._path))

    def _split(self, name: str) -> Table:
        if self._came is not None:
            return self._came.table(name)
        return Table.from_parquet(sorted((self._path / "data").glob(f"{name}-*.parquet")))

    def _beside(self, name: str) -> Path:
        is_folder = self._path.is_dir()
        run = self._path / "run" if is_folder else self._path.with_name(f"{self._path.name}.run")
        if not (run / name).exists():
            of_folder = "of cooked rows there is none: the id of each says its template and its number"
            hint = of_folder if is_folder else "say keep_run=True where the output is one file"
            raise OutputError(f"`{run / name}` is not there", hint=hint)
        return run / name

    def to_arrow(self) -> Any:
        """The rows as a ``pyarrow.Table``."""
        return given_as(self._table, ARROW)

    def to_datasets(self) -> Any:
        """The rows as a ``datasets.Dataset``."""
        return given_as(self._table, DATASETS)

    def to_polars(self) -> Any:
        """The rows as a ``polars.DataFrame``."""
        return given_as(self._table, POLARS)

    def __arrow_c_stream__(self, requested_schema: object | None = None) -> object:
        return self._table.__arrow_c_stream__(requested_schema)

    def __len__(self) -> int:
        return len(self._table)

    def __bool__(self) -> bool:
        return True


@dataclass(frozen=True)
class Training:
    """A trained adapter or model. It is a path, too: ``evaluate(…, adapter=training)``."""

    output: Path
    """The folder of the adapter or the model."""
    report: dict[str, Any]
    """Examples, tokens, steps and losses."""

    def __fspath__(self) -> str:
        return os.fspath(self.output)


def rows_by(
    verb: str,
    sources: Any,
    output: str | os.PathLike[str] | None,
    options: dict[str, Any],
    progress: Progress | None,
) -> Run:
    """Calls a verb that makes rows. Without ``output`` they stay in memory, and what lies beside them goes to a folder that is
    removed with the run."""
    # What is cooked may all come from scripts.
    given = Given(sources, by_content=output is not None, may_be_none=verb == "cook")
    keep: Any = None
    kept: Kept | None = None
    if output is None:
        keep = tempfile.TemporaryDirectory(prefix="instil-", ignore_cleanup_errors=True)
        output = Path(keep.name, "rows")
        kept = Kept(output)
        if "keep_run" in options:
            options["keep_run"] = True
    path = Path(output)
    code, data = call(verb, given.inputs, {**options, "output": path, "json": True}, progress)
    run = Run(path, json.loads(data[-1]), given.kind, kept and kept.take(), keep)
    if code == _LIMIT_MISSED:
        missed = LimitMissed("more was dropped than max_drop allows", hint="run.rejects says what; error.run is the run")
        missed.run = run
        raise missed
    return run
