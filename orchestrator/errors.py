"""Errors of the orchestrator; each message is one line: where, which key, what is wrong, and the remedy.

SweepError            exit code 2
├── SpecError         a specification that cannot be planned: file, line, key, remedy
├── StoreError        a run directory that cannot be read or written
│   └── DamagedError  one of its files is not what was written
├── StyleError        a table style of a plugin that raises; the other tables are written
├── FigureError       a figure that is not drawn; the others are written
└── TrackingError     an MLflow store that cannot be used
    ├── AccessError   the address or the credentials are wrong
    ├── BlockedError  the store has to be repaired first
    └── OutageError   the store cannot be reached, or fails, at the moment
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from types import TracebackType
from typing import Self, TypeVar

__all__ = [
    "AccessError",
    "BlockedError",
    "DamagedError",
    "FigureError",
    "OutageError",
    "SpecError",
    "SpecErrorCollector",
    "StoreError",
    "StyleError",
    "SweepError",
    "TrackingError",
    "shortened",
]

Item = TypeVar("Item")
Result = TypeVar("Result")

LONGEST_VALUE = 200
"""Characters of a value that a message quotes."""
LONGEST_MESSAGE = 2000
"""Characters of the message for one mistake."""
LISTED = 20
"""Mistakes that are listed; further ones are counted."""
MOST_MISTAKES = 1000
"""Mistakes after which the search for more ends."""


def shortened(text: str, length: int = LONGEST_VALUE) -> str:
    """`text` without its middle where it is longer than `length`; both ends say what it is and what to do."""
    if len(text) <= length:
        return text
    tail = length // 4
    return f"{text[: length - tail]} ... {text[-tail:]}"


class SweepError(Exception):
    """Base of all; a command prints its message without a traceback and exits with code 2."""


class SpecError(SweepError):
    """A wrong search space, recipe or `--set`; `messages` holds one line per mistake, of which the text lists 20."""

    def __init__(self, *messages: str) -> None:
        self.messages = tuple(shortened(message, LONGEST_MESSAGE) for message in messages)
        more = len(messages) - LISTED
        rest = (f"and {more if len(messages) < MOST_MISTAKES else f'at least {more}'} more; correct these first",)
        super().__init__("\n".join((*self.messages[:LISTED], *(rest if more > 0 else ()))))


class SpecErrorCollector:
    """Collects the SpecErrors of several steps, so that all mistakes are reported at once.

    errors = SpecErrorCollector()
    with errors:
        check_seeds(document)
    rows = errors.collect(build_row, document.rows)
    errors.raise_any()
    """

    def __init__(self) -> None:
        self.messages: list[str] = []

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, _: TracebackType | None) -> bool:
        """Keep the messages of a SpecError and suppress it; let any other exception pass.

        Raises SpecError with all messages once there are MOST_MISTAKES.
        """
        if isinstance(error, SpecError):
            self.messages.extend(error.messages)
            if len(self.messages) >= MOST_MISTAKES:
                self.raise_any()
            return True
        return False

    def collect(self, function: Callable[[Item], Result], items: Iterable[Item]) -> list[Result]:
        """`function` of each item; an item for which it raises SpecError is left out and its messages are kept."""
        results = []
        for item in items:
            with self:
                results.append(function(item))
        return results

    def raise_any(self) -> None:
        """Raise one SpecError with all messages, each once, in the order collected; do nothing when there are none."""
        if self.messages:
            raise SpecError(*dict.fromkeys(self.messages))


class StoreError(SweepError):
    """The run directory cannot be read or written."""


class DamagedError(StoreError):
    """A file of the run directory is not what was written, or is no file at all."""


class StyleError(SweepError):
    """Table styles of plugins raised, a line each; `written` has the files of the others."""

    def __init__(self, mistakes: Sequence[str], written: Mapping[str, Path]) -> None:
        self.written = dict(written)
        super().__init__("\n".join(mistakes))


class FigureError(SweepError):
    """Figures were not drawn, a line each; `written` has the others: name -> format -> path."""

    def __init__(self, mistakes: Sequence[str], written: Mapping[str, Mapping[str, Path]]) -> None:
        self.written = dict(written)
        super().__init__("; ".join(mistakes))


class TrackingError(SweepError):
    """The MLflow store cannot be used."""

    kind = ""
    """Key of `orchestrator.tracking.remedies.REMEDIES`; empty for a failure that is not listed there."""


class AccessError(TrackingError):
    """The address or the credentials are wrong: the same request succeeds once the user has corrected them."""


class BlockedError(TrackingError):
    """The store refuses every request until somebody repairs it: it is damaged, deleted or of another version."""


class OutageError(TrackingError):
    """The store is down, slow or failing; the same request may succeed later."""
