"""One chunk, one frame; and packs of them."""

from __future__ import annotations

import struct
import tracemalloc
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

import msgspec
import pytest
import zstandard
from helpers import MIB, flipped, noise, prose

from akosha_snap.errors import DamageError, NewerFormatError
from akosha_snap.frames import (
    HASH_SIZE,
    MAX_BASES,
    MAX_CHUNK_SIZE,
    MAX_LIST_SIZE,
    TRAILER_SIZE,
    Codec,
    Frame,
    PackBuilder,
    content_hash,
    decode,
    encode,
    read_footer,
    read_trailer,
)
from akosha_snap.frames.limits import MAX_FRAMES

CHUNK = prose(40_000, "chunk")
NEAR = prose(30_000, "chunk") + prose(10_000, "else")
FAR = prose(20_000, "far")


def zstd(chunk: bytes, **options: bool) -> bytes:
    """A frame as some other writer may make it."""
    return zstandard.ZstdCompressor(**({"write_checksum": True} | options)).compress(chunk)


def header(content_size: int, *, window: int | None = None) -> bytes:
    """A zstd frame's beginning (RFC 8878, 3.1.1.1): 8 bytes of content size, checksum, no dictionary."""
    single_segment = 0 if window else 0x20
    descriptor = 0xC0 | single_segment | 0x04
    window_byte = bytes([(window.bit_length() - 11) << 3]) if window else b""
    return struct.pack("<IB", zstandard.MAGIC_NUMBER, descriptor) + window_byte + struct.pack("<Q", content_size)


class TestCodec:
    def test_a_chunk_comes_back(self):
        codec, stored = encode(CHUNK)
        assert codec == Codec.ZSTD
        assert len(stored) < 0.6 * len(CHUNK)
        assert decode(codec, stored, len(CHUNK)) == CHUNK

    def test_a_chunk_comes_back_from_its_bases_and_costs_less(self):
        codec, stored = encode(CHUNK, [FAR, NEAR])
        assert codec == Codec.ZSTD
        assert len(stored) < 0.3 * len(CHUNK)
        assert decode(codec, stored, len(CHUNK), [FAR, NEAR]) == CHUNK

    def test_a_memoryview_is_as_good_as_bytes(self):
        for chunk in (CHUNK, noise(500)):
            codec, stored = encode(memoryview(chunk))
            assert decode(codec, memoryview(stored), len(chunk)) == chunk

    @pytest.mark.parametrize("chunk", [b"", b"x", noise(5000)])
    @pytest.mark.parametrize("bases", [[], [b"unrelated" * 50]])
    def test_what_does_not_shrink_is_kept_raw(self, chunk, bases):
        assert encode(chunk, bases) == (Codec.RAW, chunk)
        assert decode(Codec.RAW, chunk, len(chunk)) == chunk

    @pytest.mark.parametrize("bases", [[NEAR, FAR], [FAR], [NEAR], [], [FAR, prose(40_000, "wrong")]])
    def test_other_bases_or_another_order_are_damage(self, bases):
        codec, stored = encode(CHUNK, [FAR, NEAR])
        with pytest.raises(DamageError):
            decode(codec, stored, len(CHUNK), bases)

    def test_empty_bases_add_nothing(self):
        codec, stored = encode(CHUNK, [b""])
        assert decode(codec, stored, len(CHUNK), [b""]) == CHUNK

    @pytest.mark.parametrize("raw_size", [0, len(CHUNK) - 1, len(CHUNK) + 1, MAX_LIST_SIZE])
    @pytest.mark.parametrize("chunk", [CHUNK, noise(len(CHUNK))])
    def test_another_size_than_named_is_damage(self, chunk, raw_size):
        codec, stored = encode(chunk)
        with pytest.raises(DamageError):
            decode(codec, stored, raw_size)

    def test_a_raw_frame_cannot_have_bases(self):
        with pytest.raises(DamageError):
            decode(Codec.RAW, b"abc", 3, [b"base"])

    @pytest.mark.parametrize("codec", [-1, 2, 255, 2**63])
    def test_an_unknown_codec_is_damage(self, codec):
        with pytest.raises(DamageError, match="codec"):
            decode(codec, b"abc", 3)

    @pytest.mark.parametrize("bases", [[], [FAR, NEAR[:100]]])
    def test_no_single_bit_flip_yields_another_chunk(self, bases):
        chunk = prose(300, "small")
        codec, stored = encode(chunk, bases)
        assert codec == Codec.ZSTD
        outcomes = {self._decoded(flipped(stored, bit), chunk, bases) for bit in range(8 * len(stored))}
        assert outcomes <= {"same", "damage"}
        assert "damage" in outcomes

    @pytest.mark.parametrize("cut", [0, 1, 4, 17, -1, -4])
    def test_a_frame_cut_short_is_damage(self, cut):
        _, stored = encode(CHUNK)
        with pytest.raises(DamageError):
            decode(Codec.ZSTD, stored[:cut], len(CHUNK))

    @staticmethod
    def _decoded(stored: bytes, chunk: bytes, bases: list[bytes]) -> str:
        try:
            return "same" if decode(Codec.ZSTD, stored, len(chunk), bases) == chunk else "WRONG"
        except DamageError:
            return "damage"


class TestHostileFrames:
    def test_one_gib_declared_is_refused_without_allocating_it(self):
        tracemalloc.start()
        try:
            with pytest.raises(DamageError, match="declares 1073741824 bytes where 100 are named"):
                decode(Codec.ZSTD, header(2**30) + bytes(50), 100)
            assert tracemalloc.get_traced_memory()[1] < MIB
        finally:
            tracemalloc.stop()

    def test_a_window_of_one_gib_is_refused(self):
        stored = header(100, window=2**30) + bytes(50)
        with pytest.raises(DamageError, match="window"):
            decode(Codec.ZSTD, stored, 100)

    def test_no_declared_size_is_refused(self):
        with pytest.raises(DamageError):
            decode(Codec.ZSTD, zstd(CHUNK, write_content_size=False), len(CHUNK))

    def test_no_checksum_is_refused(self):
        with pytest.raises(DamageError, match="checksum"):
            decode(Codec.ZSTD, zstd(CHUNK, write_checksum=False), len(CHUNK))

    def test_a_dictionary_id_is_refused(self):
        dictionary = zstandard.train_dictionary(2000, [prose(500, i) for i in range(200)], dict_id=77)
        stored = zstd(CHUNK, dict_data=dictionary)
        assert zstandard.get_frame_parameters(stored).dict_id == 77
        with pytest.raises(DamageError, match="dictionary"):
            decode(Codec.ZSTD, stored, len(CHUNK))

    @pytest.mark.parametrize("extra", [b"\0", zstd(b"another frame" * 9), b"\x50\x2a\x4d\x18\4\0\0\0skip"])
    def test_data_after_the_frame_is_refused(self, extra):
        with pytest.raises(DamageError):
            decode(Codec.ZSTD, zstd(CHUNK) + extra, len(CHUNK))

    @pytest.mark.parametrize("stored", [b"", b"\0" * 40, b"\x50\x2a\x4d\x18\4\0\0\0skip", noise(60)])
    def test_what_is_no_frame_is_damage(self, stored):
        with pytest.raises(DamageError):
            decode(Codec.ZSTD, stored, 100)


def test_many_threads_encode_and_decode_at_once():
    chunks = [prose(20_000 + i, i) for i in range(48)]

    def there_and_back(i: int) -> bool:
        bases = [chunks[i - 1]] if i % 2 else []
        codec, stored = encode(chunks[i], bases)
        return decode(codec, stored, len(chunks[i]), bases) == chunks[i]

    with ThreadPoolExecutor(16) as pool:
        assert all(pool.map(there_and_back, [*range(48)] * 8))


def frame(chunk: bytes, *bases: bytes) -> Frame:
    codec, stored = encode(chunk, bases)
    return Frame(content_hash(chunk), len(chunk), codec, stored, tuple(map(content_hash, bases)) if codec else ())


def pack(*frames: Frame) -> bytes:
    builder = PackBuilder()
    for one in frames:
        builder.add(one)
    return bytes(builder.finish()[1])


EMPTY_FOOTER = {
    "format": 1, "hashes": b"", "raw_sizes": [], "stored_sizes": [], "codecs": [], "bases": [], "external": b"",
    "lists": [],
}  # fmt: skip
ONE_FRAME = EMPTY_FOOTER | {
    "hashes": bytes(32), "raw_sizes": [5], "stored_sizes": [5], "codecs": [0], "bases": [[]],
}  # fmt: skip


def sealed(footer: object, body: bytes = b"", version: int = 1) -> bytes:
    """A pack with any footer at all, its trailer right: magic, version, size and hash (docs/format.md)."""
    encoded = footer if isinstance(footer, bytes) else msgspec.msgpack.encode(footer)
    return body + encoded + struct.pack("<I", len(encoded)) + content_hash(encoded) + b"AKSNAP\0" + bytes([version])


class TestPack:
    def test_its_id_is_the_hash_of_its_bytes(self):
        builder = PackBuilder()
        builder.add(frame(CHUNK))
        pack_id, data = builder.finish()
        assert pack_id == content_hash(data)

    def test_the_same_frames_make_the_same_pack(self):
        assert pack(frame(CHUNK), frame(FAR)) == pack(frame(CHUNK), frame(FAR))

    def test_its_footer_names_frames_bases_and_lists(self):
        elsewhere, listed = frame(NEAR), frame(prose(100, "list"))
        builder = PackBuilder()
        builder.add(frame(FAR))
        builder.add(frame(CHUNK, FAR, NEAR))
        builder.add(listed, is_list=True)
        _, data = builder.finish()
        footer = read_footer(bytes(data), len(data))
        far, chunk, last = footer.entries()
        assert chunk.bases == (far.hash, elsewhere.hash) == (content_hash(FAR), content_hash(NEAR))
        assert footer.lists == [2]
        assert data[last.offset : last.offset + last.stored_size] == listed.stored

    def test_a_chunk_goes_in_once(self):
        builder = PackBuilder()
        builder.add(frame(CHUNK))
        with pytest.raises(ValueError, match="already"):
            builder.add(frame(CHUNK))

    def test_an_empty_pack_has_room_for_anything(self):
        builder = PackBuilder()
        assert builder.has_room(10**9, 100)
        builder.add(frame(noise(60)))
        assert builder.has_room(40, 100)
        assert not builder.has_room(41, 100)

    def test_a_pack_of_tiny_frames_is_full_in_time(self):
        builder = PackBuilder()
        for i in range(16_384):
            assert builder.has_room(4, 10**9)
            builder.add(Frame(content_hash(i.to_bytes(4, "big")), 4, Codec.RAW, i.to_bytes(4, "big")))
        assert not builder.has_room(4, 10**9)


class TestFooter:
    def test_the_end_of_the_pack_is_enough(self):
        data = pack(frame(CHUNK), frame(NEAR, CHUNK))
        size = read_trailer(data[-TRAILER_SIZE:])
        assert read_footer(data[-size - TRAILER_SIZE :], len(data)) == read_footer(data, len(data))

    def test_too_little_of_the_end_is_damage(self):
        data = pack(frame(CHUNK), frame(NEAR, CHUNK))
        for size in (0, 1, TRAILER_SIZE - 1, TRAILER_SIZE, TRAILER_SIZE + 20):
            with pytest.raises(DamageError):
                read_footer(data[len(data) - size :], len(data))

    def test_every_flip_in_footer_and_trailer_is_seen(self):
        data = pack(frame(CHUNK), frame(NEAR, CHUNK))
        start = 8 * (len(data) - read_trailer(data[-TRAILER_SIZE:]) - TRAILER_SIZE)
        seen = {self._outcome(flipped(data, bit)) for bit in range(start, 8 * len(data))}
        assert seen == {DamageError, NewerFormatError}  # a flip in the version byte may look newer

    @pytest.mark.parametrize("change", [-1, 1])
    def test_another_pack_size_is_damage(self, change):
        data = pack(frame(CHUNK))
        with pytest.raises(DamageError):
            read_footer(data, len(data) + change)

    @pytest.mark.parametrize("version", [2, 200])
    def test_a_newer_pack_is_newer_whatever_its_footer(self, version):
        data = sealed(b"\xc1 not even msgpack", version=version)
        with pytest.raises(NewerFormatError, match="newer"):
            read_footer(data, len(data))
        with pytest.raises(NewerFormatError):
            read_trailer(data[-TRAILER_SIZE:])

    def test_a_newer_footer_is_newer(self):
        data = sealed(EMPTY_FOOTER | {"format": 2})
        with pytest.raises(NewerFormatError):
            read_footer(data, len(data))

    def test_version_0_is_damage(self):
        data = sealed(EMPTY_FOOTER, version=0)
        with pytest.raises(DamageError):
            read_footer(data, len(data))

    def test_fields_of_a_later_minor_version_are_tolerated(self):
        data = sealed(ONE_FRAME | {"more": [1, {"of": "it"}]}, b"hello")
        (entry,) = read_footer(data, len(data)).entries()
        assert (entry.offset, entry.stored_size, entry.raw_size) == (0, 5, 5)

    def test_a_huge_footer_is_refused_from_its_trailer_alone(self):
        with pytest.raises(DamageError):
            read_trailer(struct.pack("<I", 2**32 - 1) + bytes(32) + b"AKSNAP\0\1")

    @pytest.mark.parametrize(
        "lie",
        [
            {"hashes": bytes(31)},
            {"hashes": bytes(64)},
            {"codecs": []},
            {"bases": []},
            {"stored_sizes": [4]},
            {"stored_sizes": [6]},
            {"stored_sizes": [-5]},
            {"stored_sizes": [2**64 - 1]},
            {"raw_sizes": [MAX_LIST_SIZE + 1]},
            {"raw_sizes": [-1]},
            {"raw_sizes": [4]},
            {"raw_sizes": [MAX_CHUNK_SIZE + 1]},
            {"raw_sizes": [MAX_LIST_SIZE + 1], "lists": [0]},
            {"bases": [[0]]},
            {"bases": [[-1]]},
            {"bases": [[1]]},
            {"bases": [[1] * (MAX_BASES + 1)], "external": bytes(HASH_SIZE)},
            {"external": bytes(5)},
            {"lists": [1]},
            {"lists": [-1]},
            {"raw_sizes": "five"},
            {"format": None},
        ],
        ids=str,
    )
    def test_a_footer_that_lies_is_damage(self, lie):
        data = sealed(ONE_FRAME | lie, b"hello")
        with pytest.raises(DamageError):
            read_footer(data, len(data))

    @pytest.mark.parametrize(
        "edge", [{"raw_sizes": [MAX_CHUNK_SIZE]}, {"raw_sizes": [MAX_LIST_SIZE], "lists": [0]}, {"raw_sizes": [5]}]
    )
    def test_one_at_the_edge_of_what_is_possible_is_read(self, edge):
        data = sealed(ONE_FRAME | edge, b"hello")
        (entry,) = read_footer(data, len(data)).entries()
        assert [entry.raw_size] == edge["raw_sizes"]

    def test_a_footer_of_the_most_frames_is_read_and_of_one_more_is_not(self):
        for count, fine in [(MAX_FRAMES, True), (MAX_FRAMES + 1, False)]:
            zeros = [0] * count
            columns = {"raw_sizes": zeros, "stored_sizes": zeros, "codecs": zeros, "bases": [[]] * count}
            data = sealed(EMPTY_FOOTER | columns | {"hashes": bytes(HASH_SIZE * count)})
            if fine:
                assert len(list(read_footer(data, len(data)).entries())) == count
            else:
                with pytest.raises(DamageError, match="length <= 65536"):
                    read_footer(data, len(data))

    @pytest.mark.parametrize("column", ["raw_sizes", "stored_sizes", "codecs", "bases", "lists"])
    def test_each_column_is_bounded_before_anything_is_made_of_it(self, column):
        item = [] if column == "bases" else 0
        data = sealed(ONE_FRAME | {column: [item] * (MAX_FRAMES + 1)}, b"hello")
        with pytest.raises(DamageError, match="length <= 65536"):
            read_footer(data, len(data))

    @pytest.mark.parametrize(("count", "problem"), [(20_000_000, "a footer of"), (16_000_000, "length <= 65536")])
    def test_millions_of_empty_bases_take_no_memory(self, count, problem):
        """As lists of Python they would take over 1 GB."""
        body = msgspec.msgpack.encode({"format": 1, "bases": 0})[:-1] + b"\xdd" + struct.pack(">I", count)
        data = sealed(body + b"\x90" * count)
        tracemalloc.start()
        try:
            with pytest.raises(DamageError, match=problem):
                read_footer(data, len(data))
            assert tracemalloc.get_traced_memory()[1] < 100 * MIB - len(data)
        finally:
            tracemalloc.stop()

    @pytest.mark.parametrize(
        "body",
        [b"", b"\xc1", b"\x91" * 20_000, b"\x81\xa1x" + b"\x91" * 20_000 + b"\xc0", b"\xdd\xff\xff\xff\xff"],
        ids=["empty", "invalid", "nested", "nested in an unknown field", "endless array"],
    )
    def test_a_footer_that_is_no_footer_is_damage(self, body):
        data = sealed(body)
        with pytest.raises(DamageError):
            read_footer(data, len(data))

    @staticmethod
    def _outcome(data: bytes, read: Callable[[bytes, int], object] = read_footer) -> type:
        try:
            return type(read(data, len(data)))
        except (DamageError, NewerFormatError) as error:
            return type(error)
