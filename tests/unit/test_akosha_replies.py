"""Answers as JSON and as events, in any pieces."""

from __future__ import annotations

import itertools
import json

import pytest
from helpers import profile
from hypothesis import given
from hypothesis import strategies as st

from akosha_snap.akosha.batches import Piece, cut
from akosha_snap.akosha.replies import JsonRpcError, event_data, find_reply
from akosha_snap.errors import AkoshaError

STREAM = (
    b': ping\r\n\r\nevent: message\r\ndata: {"a":\r\ndata: 1}\r\n\r\n'
    b"id: 3\ndata:two\n\n\n\rdata:  three\r\rdata: cut off\n"
)


@given(cuts=st.lists(st.integers(0, len(STREAM)), max_size=8))
@profile(300)
def test_events_in_any_pieces(cuts: list[int]) -> None:
    bounds = [0, *sorted(cuts), len(STREAM)]
    pieces = [STREAM[a:b] for a, b in itertools.pairwise(bounds)]
    assert list(event_data(pieces)) == [b'{"a":\n1}', b"two", b" three"]


def test_a_long_line_in_small_pieces() -> None:
    data = b"x" * 200_000
    stream = b"data: " + data + b"\n\n"
    assert list(event_data(stream[i : i + 10] for i in range(0, len(stream), 10))) == [data]


def test_which_message_is_the_answer() -> None:
    for other in ({"method": "ping", "id": 5}, {"id": 4, "result": 1}, {"method": "notifications/x"}):
        assert find_reply(json.dumps(other).encode(), 5) == (False, None)
    assert find_reply(b'{"id":5,"result":{"x":1}}', 5) == (True, {"x": 1})
    assert find_reply(b'[{"id":4,"result":0},{"id":5,"result":1}]', 5) == (True, 1)
    for error in (b'{"id":5,"error":{"code":1,"message":"bad"}}', b'{"id":5,"error":"bad"}'):
        with pytest.raises(JsonRpcError, match="refused the call: bad"):
            find_reply(error, 5)


@pytest.mark.parametrize("data", [b"", b"{", b"\xff", b"1", b'"x"', b"[1]", b"null", b"[" * 100_000])
def test_what_is_no_answer(data: bytes) -> None:
    with pytest.raises(AkoshaError):
        find_reply(data, 5)


@given(sizes=st.lists(st.integers(1, 60), max_size=40), max_bytes=st.integers(1, 100), max_records=st.integers(1, 7))
@profile(300)
def test_batches(sizes: list[int], max_bytes: int, max_records: int) -> None:
    pieces = [Piece(str(i), b"x" * size) for i, size in enumerate(sizes)]
    batches = list(cut(pieces, max_bytes=lambda: max_bytes, max_records=max_records))
    assert [piece for batch in batches for piece in batch] == pieces
    for batch, following in itertools.zip_longest(batches, batches[1:]):
        size = len(b",".join(piece.data for piece in batch))
        assert len(batch) <= max_records
        assert size <= max_bytes or len(batch) == 1
        if following and len(batch) < max_records:
            assert size + 1 + len(following[0].data) > max_bytes, "it could have held one more"
