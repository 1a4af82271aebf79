"""The table of features: what it finds, what it keeps when it is saved, what it forgets."""

from __future__ import annotations

import numpy as np
import pytest
from helpers import noise, profile
from hypothesis import given
from hypothesis import strategies as st

from akosha_snap.chunking import features
from akosha_snap.frames import content_hash
from akosha_snap.frames import similarity as module
from akosha_snap.frames.similarity import BLOCK, SimilarityTable

CHUNKS = [noise(60_000, seed) for seed in range(6)]
NAMES = [content_hash(chunk) for chunk in CHUNKS]
FEATURES = [features(chunk) for chunk in CHUNKS]
MIXED = features(CHUNKS[0][:40_000] + CHUNKS[1][:20_000])


def table(*numbers: int) -> SimilarityTable:
    made = SimilarityTable()
    for number in numbers:
        made.add(FEATURES[number], number)
    return made


def found(made: SimilarityTable, of: np.ndarray = MIXED) -> list[int]:
    return [number for number, _ in made.similar(of)]


def reloaded(made: SimilarityTable, chunks: list[int], names: list[bytes] = NAMES) -> SimilarityTable:
    return SimilarityTable.load(list(made.dump(NAMES)), names, chunks)


def test_most_shared_first():
    assert found(table(0, 1, 2)) == [0, 1]


def test_nothing_in_common_is_not_similar():
    assert found(table(2, 3)) == []


def test_the_last_two_with_a_feature_are_known():
    made = SimilarityTable()
    for number in (3, 4, 5):
        made.add(FEATURES[0], number)
    assert found(made, FEATURES[0]) == [5]
    assert found(reloaded(made, [3, 4]), FEATURES[0]) == [4]
    assert found(reloaded(made, [3]), FEATURES[0]) == []


def test_what_is_saved_is_loaded_under_the_numbers_of_today():
    names = NAMES[::-1]
    assert found(reloaded(table(0, 1, 2), [3, 4, 5], names)) == [5, 4]


def test_only_what_is_asked_for_is_loaded():
    assert found(reloaded(table(0, 1, 2), [1, 2])) == [1]
    assert found(reloaded(table(0, 1, 2), [])) == []


def test_blocks_are_small():
    assert all(len(block) <= BLOCK for block in table(0, 1, 2).dump(NAMES))


def test_an_empty_table_can_be_saved():
    assert found(reloaded(SimilarityTable(), [0])) == []


@pytest.mark.parametrize("saved", [b"x", b"x" * 13])
def test_what_is_no_table_is_refused(saved):
    with pytest.raises(ValueError, match=r"reshape|multiple"):
        SimilarityTable.load([saved], NAMES, [0])


def test_a_cell_beyond_the_end_is_refused():
    row = np.array([module._CELLS, 1, int.from_bytes(NAMES[0][:4], "little")], "<u4").tobytes()
    with pytest.raises(ValueError, match="beyond"):
        SimilarityTable.load([row], NAMES, [0])


class TestForgotten:
    def test_nothing_right_after(self):
        assert table(0, 1).forgotten([0, 1]) == []

    def test_what_was_never_added(self):
        assert table(0).forgotten([0, 1, 5]) == [1, 5]

    def test_what_two_others_have_taken_the_place_of(self):
        made = table(0)
        for number in (3, 4):
            made.add(FEATURES[0], number)
        assert made.forgotten([0, 3, 4]) == [0]
        assert reloaded(made, [0, 1]).forgotten([0, 1]) == [1]
        assert reloaded(made, [0]).forgotten([0]) == [0]

    def test_nothing_where_the_table_is_too_small_for_all(self, monkeypatch):
        monkeypatch.setattr(module, "_BITS", 6)
        monkeypatch.setattr(module, "_CELLS", 2 << 6)
        assert table(0, 1, 2, 3, 4, 5).forgotten(list(range(6))) == []


@given(st.lists(st.tuples(st.integers(0, 5), st.integers(0, 5)), max_size=8))
@profile(40)
def test_saving_and_loading_changes_nothing(added):
    made = SimilarityTable()
    for content, number in added:
        made.add(FEATURES[content], number)
    again = reloaded(made, list(range(6)))
    for one in FEATURES:
        assert again.similar(one) == made.similar(one)
    assert again.forgotten(list(range(6))) == made.forgotten(list(range(6)))
