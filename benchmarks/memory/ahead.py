"""Rows made ahead of their insertion, by a second process: making 10 GB of them takes as long as storing them."""

from __future__ import annotations

import contextlib
import multiprocessing
from collections.abc import Callable, Iterator
from multiprocessing.connection import Connection
from typing import Any

__all__ = ["Batch", "made_ahead"]

Batch = dict[str, list[dict[str, Any]]]
"""Rows of some tables, to be inserted in this order."""

Source = Callable[[int, list[int]], Iterator[Batch]]


@contextlib.contextmanager
def made_ahead(source: Source, seed: int, sizes: list[int]) -> Iterator[Iterator[Batch]]:
    """The batches of `source(seed, sizes)`; memory holds the one in use, the one on its way and the next."""
    context = multiprocessing.get_context("spawn")
    here, there = context.Pipe(duplex=False)
    child = context.Process(target=_make, args=(source, seed, sizes, there), daemon=True)
    child.start()
    there.close()
    try:
        yield iter(here.recv, None)
    finally:
        child.kill()
        child.join()
        here.close()


def _make(source: Source, seed: int, sizes: list[int], to: Connection) -> None:
    for batch in source(seed, sizes):
        to.send(batch)
