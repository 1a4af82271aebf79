"""Run a function over many items in threads, a bounded number ahead of the caller."""

from __future__ import annotations

import itertools
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from typing import TypeVar

__all__ = ["ahead"]

T = TypeVar("T")
R = TypeVar("R")


def ahead(function: Callable[[T], R], items: Iterable[T], *, threads: int, limit: int) -> Iterator[tuple[T, R]]:
    """Each item with `function(item)`, in order; at most `limit` results wait, so memory is bounded.

    Items are drawn by the calling thread. An exception of `function` is raised in its turn.
    """
    pool = ThreadPoolExecutor(threads)
    waiting: deque[tuple[T, Future[R]]] = deque()
    source = iter(items)
    try:
        while True:
            for item in itertools.islice(source, limit - len(waiting)):
                waiting.append((item, pool.submit(function, item)))
            if not waiting:
                return
            item, future = waiting.popleft()
            yield item, future.result()
    finally:
        pool.shutdown(wait=False, cancel_futures=True)  # a Ctrl-C does not wait for what is under way
