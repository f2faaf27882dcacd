"""local_time: when something happened, as the commands show it."""

from __future__ import annotations

import time

__all__ = ["local_time"]


def local_time(seconds: float) -> str:
    """Date and time of this machine, to the minute, of a time in seconds since the epoch."""
    return time.strftime("%Y-%m-%d %H:%M", time.localtime(seconds))
