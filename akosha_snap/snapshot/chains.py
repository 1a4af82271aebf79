"""Which frames are decoded in one go, because all that a chunk between is needed for is the next one."""

from __future__ import annotations

from array import array
from collections.abc import Callable, Sequence

from akosha_snap.manifest import ChunkList

__all__ = ["links"]

_HELD = 16 * 1024 * 1024
"""Stored bytes of unfinished chains: what a restore holds of them in memory. 64 sessions of 100 MB have as much."""


def links(chunk_list: ChunkList, frames: Sequence[int], is_wanted: Callable[[int], bool]) -> bytearray:
    """Per frame of the list, 1 for a link of a chain: its chunk is not wanted, and is the only base of just one frame.

    `frames` (from `with_bases`) come in this order. A chain ends early where unfinished ones hold too much.
    """
    uses = array("I", bytes(4 * len(chunk_list)))
    for i in frames:
        for base in chunk_list.bases[i]:
            uses[base] += 1
    leads_on = bytearray(len(chunk_list))
    for i in frames:
        bases = chunk_list.bases[i]
        if len(bases) == 1 and uses[bases[0]] == 1 and not is_wanted(bases[0]):
            leads_on[bases[0]] = 1
    held, total = dict[int, int](), 0
    for i in frames:
        bases = chunk_list.bases[i]
        before = held.pop(bases[0], 0) if len(bases) == 1 else 0
        size = chunk_list.stored_sizes[i]
        if leads_on[i] and total + size <= _HELD:
            held[i] = before + size
            total += size
        else:
            leads_on[i] = 0
            total -= before
    return leads_on
