"""Ctrl-C and SIGTERM while a sweep runs."""

from __future__ import annotations

import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from orchestrator.running.driver import Driver

__all__ = ["graceful_interrupts"]


@contextmanager
def graceful_interrupts(driver: Driver) -> Iterator[None]:
    """The first Ctrl-C or SIGTERM ends running trials at their next report; the second raises KeyboardInterrupt.

    Does nothing outside the main thread, which alone receives signals.
    """
    if threading.current_thread() is not threading.main_thread():
        yield
        return

    def handle(_number: int, _frame: Any) -> None:
        if driver.interrupted:
            raise KeyboardInterrupt
        driver.interrupt()

    before = {number: signal.signal(number, handle) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
