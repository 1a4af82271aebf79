"""Run a function over many items in threads, a bounded number ahead of the caller."""

from __future__ import annotations

import itertools
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from typing import TypeVar

__all__ = ["ahead", "in_threads"]

T = TypeVar("T")
R = TypeVar("R")

_REQUESTS = 8
"""At a time."""


def ahead(
    function: Callable[[T], R],
    items: Iterable[T],
    *,
    threads: int,
    limit: int,
    weigh: Callable[[T], int] = lambda _: 1,
    settles: bool = False,
) -> Iterator[tuple[T, R]]:
    """Each item with `function(item)`, in order; results that wait weigh at most `limit`, so memory is bounded.

    One item at least is under way, whatever it weighs. Items are drawn by the calling
    thread. An exception of `function` is raised in its turn; with `settles`, when nothing is under way any more.
    """
    pool = ThreadPoolExecutor(threads)
    waiting: deque[tuple[T, int, Future[R]]] = deque()
    source = iter(items)
    load = 0
    next_item: list[T] = []
    try:
        while True:
            while next_item or (next_item := list(itertools.islice(source, 1))):
                weight = weigh(next_item[0])
                if waiting and load + weight > limit:
                    break
                item = next_item.pop()
                load += weight
                waiting.append((item, weight, pool.submit(function, item)))
            if not waiting:
                return
            item, weight, future = waiting.popleft()
            yield item, future.result()
            load -= weight
    except Exception:
        pool.shutdown(wait=settles, cancel_futures=True)
        raise
    finally:
        pool.shutdown(wait=False, cancel_futures=True)  # a Ctrl-C does not wait for what is under way


def in_threads(function: Callable[[T], R], items: Iterable[T], *, settles: bool = False) -> Iterator[R]:
    """`function(item)` of each item, in order: requests to the store, eight at a time. No more answers wait: the
    footers of 10 GB take much memory. `settles`: see `ahead`."""
    return (result for _, result in ahead(function, items, threads=_REQUESTS, limit=_REQUESTS, settles=settles))
