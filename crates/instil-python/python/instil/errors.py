"""What can go wrong: one exception for everything that instil raises, and a child for whose matter it is."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from instil._run import Run

__all__ = ["Error", "InputError", "LimitMissed", "ModelError", "OutputError", "UsageError"]

# Messages are the program's, where options are written as flags.
_FLAG = re.compile(r"(?<![\w-])--([a-z][a-z0-9-]*)")


def _keywords(text: str) -> str:
    return _FLAG.sub(lambda flag: flag[1].replace("-", "_"), text)


class Error(Exception):
    """Anything that instil raises.

    Attributes:
        message: What failed, naming the place: the file and line, the option, the column.
        cause: Why, where that is known.
        hint: What to do about it, where something can be done.

    >>> import instil
    >>> try:
    ...     instil.generate("nowhere.txt")
    ... except instil.Error as error:
    ...     print(error.message)
    `nowhere.txt` does not exist
    """

    def __init__(self, message: str, *, cause: str | None = None, hint: str | None = None) -> None:
        self.message = _keywords(message)
        self.cause = _keywords(cause) if cause else None
        self.hint = _keywords(hint) if hint else None
        super().__init__(self.message)

    def __str__(self) -> str:
        cause = f": {self.cause}" if self.cause else ""
        hint = f"\nhint: {self.hint}" if self.hint else ""
        return f"{self.message}{cause}{hint}"

    def __reduce__(self) -> tuple[Any, ...]:
        return _made, (type(self), self.message, self.cause, self.hint)


def _made(kind: type[Error], message: str, cause: str | None, hint: str | None) -> Error:
    """An exception that came from another process, as `multiprocessing` sends it."""
    return kind(message, cause=cause, hint=hint)


class UsageError(Error, ValueError):
    """An option, or a combination of them, that has no meaning."""


class InputError(Error, ValueError):
    """An input that is missing, can't be read, or has another shape than was said."""


class OutputError(Error, OSError):
    """An output that can't be written, or that another run has made."""

    def __init__(self, message: str, *, cause: str | None = None, hint: str | None = None) -> None:
        super().__init__(message, cause=cause, hint=hint)

    __str__ = Error.__str__


class ModelError(Error, RuntimeError):
    """A model or server that doesn't answer as it must."""


class LimitMissed(Error):
    """The run is whole, but a larger share of it was dropped than ``max_drop`` allows.

    Attributes:
        run: What came out.
    """

    run: Run | None = None
