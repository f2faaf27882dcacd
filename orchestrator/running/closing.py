"""Closing: the steps that end a sweep; each is tried, whatever happened to those before it."""

from __future__ import annotations

from collections.abc import Callable

from orchestrator.errors import SweepError
from orchestrator.redaction import one_line
from orchestrator.store.disk_errors import describe_disk_error

__all__ = ["Closing"]


class Closing:
    """Runs steps in order and keeps their failures as lines, because the first cause is what is reported."""

    def __init__(self) -> None:
        self.failures: list[str] = []
        """One line for each step that could not be done."""
        self.at_once = False
        """After a second signal: steps that take time are left out."""
        self.defect: Exception | None = None
        """The first exception that no user can cause, to be raised after the last step."""

    def step(self, name: str, action: Callable[[], object], *, brief: bool = False, matters: bool = True) -> None:
        """Take the step `name`; only a `brief` one after a second signal, which interrupts the step in progress.

        One that does not matter, such as writing a cache, may fail without a word.
        """
        if self.at_once and not brief:
            return
        try:
            action()
        except KeyboardInterrupt:
            self.at_once = True
        except (SweepError, OSError) as error:
            text = describe_disk_error(error) if isinstance(error, OSError) else str(error)
            if matters:
                self.failures.append(f"{name}: {text}")
        except Exception as error:
            self.failures.append(f"{name}: {type(error).__name__}: {one_line(error)}")
            self.defect = self.defect or error
