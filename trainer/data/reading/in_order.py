"""Applies a function to many items on all cores, in order and in bounded memory."""

from __future__ import annotations

import os
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Executor, Future, ThreadPoolExecutor
from typing import TypeVar

__all__ = ["in_order", "submitted_in_order"]

Item = TypeVar("Item")
Result = TypeVar("Result")

MOST_THREADS = 16


def in_order(function: Callable[[Item], Result], items: Iterable[Item]) -> Iterator[Result]:
    """The results in the order of `items`, as `map` gives them; at most two per thread are waiting.

    For functions that release the interpreter's lock, such as decoding an image.
    """
    threads = min(MOST_THREADS, os.cpu_count() or 1)
    with ThreadPoolExecutor(threads) as pool:
        yield from submitted_in_order(pool, function, items, ahead=2 * threads)


def submitted_in_order(
    pool: Executor, function: Callable[[Item], Result], items: Iterable[Item], *, ahead: int
) -> Iterator[Result]:
    """The results in the order of `items`, of which `ahead` are submitted to `pool` before the result is awaited.

    An exception of `function` is raised in the place of its result. What has not begun when the iterator ends is
    cancelled.
    """
    waiting: deque[Future[Result]] = deque()
    try:
        for item in items:
            waiting.append(pool.submit(function, item))
            if len(waiting) > ahead:
                yield waiting.popleft().result()
        while waiting:
            yield waiting.popleft().result()
    finally:
        for future in waiting:
            future.cancel()
