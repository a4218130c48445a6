"""What users work with, on its way to Arrow and back."""

from __future__ import annotations

import itertools
import os
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Protocol, TypeAlias, Union

from instil._instil import Held, Table
from instil.errors import InputError, UsageError


class ArrowStream(Protocol):
    """Anything that gives an Arrow stream: ``pyarrow.Table``, ``polars.DataFrame``, a DuckDB relation, a ``Run``."""

    def __arrow_c_stream__(self, requested_schema: object | None = None) -> object: ...


class HuggingFace(Protocol):
    """A ``datasets.Dataset``."""

    @property
    def column_names(self) -> Any: ...

    def with_format(self, type: str | None = None) -> Any: ...


class Lazy(Protocol):
    """A ``polars.LazyFrame``."""

    def collect(self) -> Any: ...


Rows: TypeAlias = Union[ArrowStream, HuggingFace, Lazy]
Source: TypeAlias = Union[str, "os.PathLike[str]", Rows]
"""A file, a folder, a glob or a table."""
Sources: TypeAlias = Union[Source, Sequence[Source]]

_numbers = itertools.count(1)

ARROW, DATASETS, POLARS = "pyarrow", "datasets", "polars"


def _module(data: object) -> str:
    return type(data).__module__.partition(".")[0]


def kind_of(data: object) -> str | None:
    """What rows are given back as, where these were given; none for what says nothing of it, such as a path."""
    kind: str | None = getattr(data, "_kind", None)
    if kind in (ARROW, DATASETS, POLARS):
        return kind
    if _module(data) in (DATASETS, POLARS):
        return _module(data)
    return ARROW if hasattr(data, "__arrow_c_stream__") else None


def is_table(data: object) -> bool:
    return _module(data) in (DATASETS, POLARS) or hasattr(data, "__arrow_c_stream__")


def table_of(data: Any) -> Table:
    """The whole table behind what was given, none of its buffers copied where they are Arrow's."""
    if _module(data) == DATASETS:
        data = _of_datasets(data)
    elif not hasattr(data, "__arrow_c_stream__") and hasattr(data, "collect"):
        data = data.collect()
    return Table.of(data)


def _of_datasets(data: Any) -> Any:
    import datasets
    import pyarrow as pa

    if isinstance(data, (datasets.DatasetDict, datasets.IterableDatasetDict)):
        splits = ", ".join(f'"{name}"' for name in data)
        raise InputError("a dataset of several splits was given", hint=f"take one of them: dataset[…], with {splits}")
    if isinstance(data, datasets.IterableDataset):
        return pa.concat_tables(data.with_format("arrow").iter(batch_size=1000))
    # Rows that were chosen, sorted or shuffled are an index beside the table.
    if data._indices is not None:
        return data.with_format("arrow")[:]
    return data.data.table


def given_as(table: Table, kind: str | None) -> Any:
    """A table as what the user works with; of paths too it is ``pyarrow``'s."""
    if kind == POLARS:
        import polars

        return polars.DataFrame(table)
    try:
        import pyarrow as pa
    except ImportError as error:
        raise InputError(
            "pyarrow is not installed, and rows are given as its tables",
            hint="`pip install pyarrow`; or read them by `__arrow_c_stream__`",
        ) from error
    arrow = pa.table(table)
    if kind == DATASETS:
        import datasets
        from datasets.table import InMemoryTable

        return datasets.Dataset(InMemoryTable(arrow))
    return arrow


class Given:
    """Inputs as the program names them. Tables keep their names as long as this is there."""

    def __init__(self, sources: Any, *, by_content: bool, may_be_none: bool = False) -> None:
        """``by_content``: a later run is to know whether it was given the same tables."""
        self._by_content = by_content
        self._held: list[Held] = []
        self.kind: str | None = None
        self.inputs = self._all(sources)
        if not self.inputs and not may_be_none:
            raise UsageError("there is no input", hint="give a path or a table, or a list of them")

    def _all(self, sources: Any) -> list[str]:
        # A dataset of several splits is a dict, too, and is refused as a table.
        if isinstance(sources, Mapping) and not is_table(sources):
            return [f"{name}={self.one(source)}" for name, source in sources.items()]
        if isinstance(sources, (str, bytes, os.PathLike)) or is_table(sources):
            return [self.one(sources)]
        if isinstance(sources, Iterable):
            return [self.one(source) for source in sources]
        return [self.one(sources)]

    def one(self, source: Any) -> str:
        if isinstance(source, (str, os.PathLike)):
            return os.fspath(source)
        if not is_table(source):
            raise UsageError(
                f"a `{type(source).__name__}` is no input",
                hint="give a path, or a table: datasets.Dataset, pyarrow.Table, a polars frame or anything with "
                "__arrow_c_stream__; of a list of dicts `pyarrow.Table.from_pylist(rows)` makes one, of a dict of lists "
                "`pyarrow.table(columns)`",
            )
        self.kind = self.kind or kind_of(source)
        table = table_of(source)
        held = table.hold(table.hash() if self._by_content else str(next(_numbers)))
        self._held.append(held)
        return held.input
