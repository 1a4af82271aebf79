"""Which frames a restore decodes in one go."""

from __future__ import annotations

from collections.abc import Sequence
from types import SimpleNamespace

from helpers import profile
from hypothesis import given
from hypothesis import strategies as st

from akosha_snap.snapshot import chains


@st.composite
def lists(draw: st.DrawFn) -> SimpleNamespace:
    """As much of a chunk list as chains are made of, its frames in the order of decoding."""
    count = draw(st.integers(1, 25))
    bases = [draw(st.lists(st.integers(0, i - 1), max_size=2, unique=True)) if i else [] for i in range(count)]
    sizes = [draw(st.integers(0, 9)) for _ in range(count)]

    class Columns(SimpleNamespace):
        def __len__(self) -> int:
            return count

    return Columns(bases=bases, stored_sizes=sizes)


def held(chunk_list: SimpleNamespace, is_link: Sequence[int]) -> int:
    """The most that unfinished chains hold at once, in bytes."""
    most, chains_now = 0, dict[int, int]()
    for i, bases in enumerate(chunk_list.bases):
        before = chains_now.pop(bases[0], 0) if bases else 0
        if is_link[i]:
            chains_now[i] = before + chunk_list.stored_sizes[i]
        most = max(most, sum(chains_now.values()))
    return most


@profile(200)
@given(lists(), st.sets(st.integers(0, 24)), st.integers(0, 40))
def test_links_are_needed_by_one_frame_that_needs_nothing_else(chunk_list, wanted, room):
    frames = range(len(chunk_list.bases))
    before = chains._HELD
    chains._HELD = room
    try:
        is_link = chains.links(chunk_list, frames, wanted.__contains__)
    finally:
        chains._HELD = before
    for i in frames:
        users = [bases for bases in chunk_list.bases if i in bases]
        may_be = users == [[i]] and i not in wanted
        assert may_be or not is_link[i]
        if room == 40 and sum(chunk_list.stored_sizes) <= room:
            assert bool(is_link[i]) == may_be
    assert held(chunk_list, is_link) <= room
