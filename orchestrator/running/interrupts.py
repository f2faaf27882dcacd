"""Handlers of Ctrl-C and SIGTERM that end with what they are for."""

from __future__ import annotations

import signal
import threading
from collections.abc import Callable, Iterable, Iterator
from contextlib import AbstractContextManager, contextmanager
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from orchestrator.running.driver import Driver

__all__ = ["graceful_interrupts", "handling"]


def graceful_interrupts(driver: Driver) -> AbstractContextManager[None]:
    """The first Ctrl-C or SIGTERM ends running trials at their next report; the second raises KeyboardInterrupt."""

    def handle(_number: int, _frame: Any) -> None:
        if driver.interrupted:
            raise KeyboardInterrupt
        driver.interrupt()

    return handling((signal.SIGINT, signal.SIGTERM), handle)


@contextmanager
def handling(numbers: Iterable[int], handler: Callable[[int, Any], None] | None = None) -> Iterator[None]:
    """Set `handler`, if given, for these signals in the body, and restore the present handlers after it.

    Does nothing outside the main thread, which alone receives signals.
    """
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    before = {number: signal.getsignal(number) for number in numbers}
    try:
        for number in before if handler is not None else ():
            signal.signal(number, handler)
        yield
    finally:
        for number, former in before.items():
            signal.signal(number, former)
