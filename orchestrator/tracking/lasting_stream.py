"""LastingStream: an output stream whose reader may go away (`| head`, a closed terminal) while the sweep continues."""

from __future__ import annotations

import io
import logging
import os
from contextlib import suppress
from typing import Any, TextIO

__all__ = ["LastingStream"]

logger = logging.getLogger(__name__)


class LastingStream(io.TextIOBase):
    """Writes to `stream` until that fails; then says so once and drops the rest. Used from several threads."""

    def __init__(self, stream: TextIO) -> None:
        self.stream = stream
        self.lost = False

    def write(self, text: str) -> int:
        """Write, or drop."""
        if not self.lost:
            try:
                self.stream.write(text)
            except (OSError, ValueError) as error:  # ValueError: the stream is closed
                self.drop(error)
        return len(text)

    def flush(self) -> None:
        """Flush, or drop."""
        if not self.lost:
            try:
                self.stream.flush()
            except (OSError, ValueError) as error:
                self.drop(error)

    def close(self) -> None:
        """The stream is its owner's, which may have closed it long before this object goes."""

    def drop(self, error: Exception) -> None:
        """Write nothing more; Python, which flushes at exit, also finds a stream that takes everything."""
        self.lost = True
        with suppress(OSError, ValueError):
            nowhere = os.open(os.devnull, os.O_WRONLY)
            os.dup2(nowhere, self.stream.fileno())
            os.close(nowhere)
        name = getattr(self.stream, "name", "output")
        logger.warning("%s: nobody reads it any more (%s); the sweep continues", name, error)

    @property
    def encoding(self) -> str:  # type: ignore[override]
        """Of the stream; rich draws with ASCII characters where it is not UTF-8."""
        return self.stream.encoding

    def isatty(self) -> bool:
        """Whether the stream is a terminal."""
        return not self.lost and self.stream.isatty()

    def fileno(self) -> int:
        """Of the stream."""
        return self.stream.fileno()

    def __getattr__(self, name: str) -> Any:
        """Everything else is the stream's."""
        return getattr(self.stream, name)
