"""Applies a function to items in threads, ahead of their consumer, in order."""

from __future__ import annotations

from collections.abc import Callable, Generator, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from threading import Barrier
from typing import TypeVar

import torch

from trainer.data.reading.in_order import submitted_in_order

__all__ = ["read_ahead"]

Item = TypeVar("Item")
Result = TypeVar("Result")


def read_ahead(
    function: Callable[[Item], Result], items: Iterable[Item], *, threads: int, ahead: int
) -> Generator[Result, None, None]:
    """The results in the order of `items`, as `map` gives them, with at most `ahead` items begun early.

    `items` is iterated in the calling thread. An exception of `function` is raised in the place of its result. The
    threads end with the iterator: close it, or exhaust it. With 0 `threads` it is `map`.
    """
    if threads == 0:
        yield from map(function, items)
        return
    with single_core_threads(threads) as pool:
        yield from submitted_in_order(pool, function, items, ahead=ahead)


@contextmanager
def single_core_threads(count: int) -> Iterator[ThreadPoolExecutor]:
    """Threads in each of which torch's operators use one core, while those of the calling thread use as many as before.

    torch.set_num_threads sets the number of the thread that calls it, and the one with which other threads begin. So
    all threads are started here, and the number is set back when each of them has its own.
    """
    before = torch.get_num_threads()
    begun = Barrier(count + 1)

    def begin() -> None:
        torch.set_num_threads(1)
        torch.get_num_threads()  # from now on, the number of this thread
        begun.wait()

    with ThreadPoolExecutor(count, thread_name_prefix="loader") as pool:
        try:
            for _ in range(count):
                pool.submit(begin)
            begun.wait()
        finally:
            begun.abort()  # nobody waits any more, unless a thread could not be started
            torch.set_num_threads(before)
        yield pool
