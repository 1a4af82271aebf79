"""Whatever is packed comes back; whatever is read cannot break the reader."""

from __future__ import annotations

import contextlib
import struct

from helpers import noise, profile, prose
from hypothesis import given
from hypothesis import strategies as st

from akosha_snap.errors import DamageError, NewerFormatError
from akosha_snap.frames import (
    Codec,
    Frame,
    PackBuilder,
    StoredFrame,
    content_hash,
    decode,
    decode_chain,
    encode,
    read_footer,
)
from akosha_snap.frames.footer import FrameEntry

contents = st.binary(max_size=2000) | st.builds(prose, st.integers(0, 5000), st.integers(0, 3))


@profile(150)
@given(contents, st.lists(contents, max_size=4))
def test_a_chunk_comes_back(chunk, bases):
    codec, stored = encode(chunk, bases)
    assert len(stored) <= len(chunk)
    assert decode(codec, stored, len(chunk), bases if codec else []) == chunk


@profile(300)
@given(st.integers(0, 3), st.binary(max_size=300), st.integers(0, 5000), st.lists(st.binary(max_size=50), max_size=2))
def test_arbitrary_bytes_are_a_chunk_of_the_named_size_or_damage(codec, stored, raw_size, bases):
    with contextlib.suppress(DamageError):
        assert len(decode(codec, stored, raw_size, bases)) == raw_size


@profile(100)
@given(st.lists(contents, min_size=1, max_size=5), st.lists(contents, max_size=2), st.data())
def test_a_chain_comes_back_or_is_damage(chunks, bases, data):
    """Each chunk with the one before as its only base; a chunk that a base is no help for ends the chain before it."""
    frames, before = [], bases
    for chunk in chunks:
        codec, stored = encode(chunk, before)
        if codec == Codec.RAW:
            frames, bases = [], []
        frames.append(StoredFrame(codec, stored, len(chunk)))
        before = [chunk]
    assert decode_chain(frames, bases) == chunks[-1]

    n = data.draw(st.integers(0, len(frames) - 1))
    stored = frames[n].stored
    wrong = data.draw(st.sampled_from([stored + b"x", stored[:-1], b"x" + stored[1:], b""]))
    with contextlib.suppress(DamageError):
        frames[n] = frames[n]._replace(stored=wrong)
        assert decode_chain(frames, bases) == chunks[-1] or frames[n].codec == Codec.RAW


@profile(100)
@given(st.data())
def test_a_pack_comes_back_with_bases_inside_and_outside(data):
    outside = [prose(300 + i, ("outside", i)) for i in range(3)]
    known = {content_hash(chunk): chunk for chunk in outside}
    builder, offsets, frames = PackBuilder(), [], []
    for number in range(data.draw(st.integers(0, 12))):
        chunk = data.draw(st.sampled_from([prose, noise]))(data.draw(st.integers(1, 3000)), number) + bytes([number])
        bases = data.draw(st.lists(st.sampled_from(sorted(known)), max_size=3, unique=True))
        codec, stored = encode(chunk, [known[base] for base in bases])
        frames.append(Frame(content_hash(chunk), len(chunk), codec, stored, tuple(bases) if codec else ()))
        offsets.append(builder.add(frames[-1], is_list=data.draw(st.booleans())))
        known[frames[-1].hash] = chunk
    pack_id, pack = builder.finish()
    assert pack_id == content_hash(pack)

    entries = list(read_footer(bytes(pack), len(pack)).entries())
    assert entries == [
        FrameEntry(f.hash, offset, len(f.stored), f.raw_size, f.codec, f.bases)
        for f, offset in zip(frames, offsets, strict=True)
    ]
    for entry in entries:
        stored = pack[entry.offset : entry.offset + entry.stored_size]
        assert decode(entry.codec, stored, entry.raw_size, [known[b] for b in entry.bases]) == known[entry.hash]


def only_our_errors(pack: bytes, pack_size: int) -> None:
    with contextlib.suppress(DamageError, NewerFormatError):
        list(read_footer(pack, pack_size).entries())


@profile(200)
@given(st.binary(max_size=400), st.integers(0, 500))
def test_arbitrary_bytes_never_break_the_footer_reader(pack, pack_size):
    only_our_errors(pack, pack_size)


@profile(300)
@given(st.binary(max_size=400), st.integers(0, 500), st.integers(1, 2))
def test_arbitrary_footers_under_a_right_trailer_never_break_it(body, pack_size, version):
    only_our_errors(body + struct.pack("<I32s7sB", len(body), content_hash(body), b"AKSNAP\0", version), pack_size)
