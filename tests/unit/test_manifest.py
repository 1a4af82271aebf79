"""Manifest, chunk list and format.json: bytes and back, and what a reader refuses."""

from __future__ import annotations

import datetime as dt
import hashlib
import json
import tracemalloc
from typing import Any

import msgspec
import pytest
from akosha_rules import check_manifest
from helpers import MIB, NOW, SYSTEM, Described, flipped, in_lists, make_manifest

from akosha_snap.errors import DamageError, NewerFormatError
from akosha_snap.frames import (
    MAX_BASES,
    MAX_CHUNK_SIZE,
    MAX_DEPTH,
    MAX_LIST_SIZE,
    MAX_LISTED,
    MAX_PACK_SIZE,
    MAX_POINTERS_SIZE,
)
from akosha_snap.manifest import (
    ChunkList,
    Cost,
    Counts,
    FileEntry,
    FrameLocation,
    FullFile,
    ListedFile,
    Manifest,
    StoreFormat,
    decode_chunk_list,
    decode_format,
    decode_manifest,
    encode_chunk_list,
    encode_format,
    encode_manifest,
)
from akosha_snap.manifest.root import snapshot_root
from akosha_snap.snapshot import commit

HASH = "ab" * 32
LOCATION = FrameLocation(HASH, HASH, 1000, 100, 50, 80, 1)
UPLOAD_ID = "20261123T071500Z-00000000"
MANIFEST = make_manifest(UPLOAD_ID, [Described("a.duckdb", 7, bytes(32)), Described("b", 3, bytes(32))], LOCATION)


def sealed(tree: dict[str, Any]) -> bytes:
    """A manifest of any content with the checksum it should have: the format's rule, with json and hashlib alone."""

    def canonical(value: dict[str, Any]) -> bytes:
        return json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=False).encode()

    tree["checksum"] = hashlib.sha256(canonical(tree | {"checksum": None})).hexdigest()
    return canonical(tree)


def tree() -> dict[str, Any]:
    return json.loads(encode_manifest(MANIFEST))


def info(**changes: Any) -> bytes:
    """MANIFEST with changes in metadata.akosha_snap."""
    changed = tree()
    changed["metadata"]["akosha_snap"] |= changes
    return sealed(changed)


class TestManifest:
    def test_it_comes_back(self):
        back = decode_manifest(encode_manifest(MANIFEST), "m")
        assert msgspec.structs.replace(back, checksum=None) == MANIFEST

    def test_its_bytes_are_canonical_json_with_the_checksum_of_the_rule(self):
        odd = make_manifest("x", [Described('日本 "q" \u2028.duckdb', 7, bytes(32))], LOCATION)
        data = encode_manifest(odd)
        assert sealed(json.loads(data)) == data

    def test_white_space_and_key_order_do_not_matter(self):
        loose = json.dumps(dict(reversed(tree().items())), indent=2).encode()
        assert decode_manifest(loose, "m") == decode_manifest(encode_manifest(MANIFEST), "m")

    def test_every_byte_counts(self):
        data = encode_manifest(MANIFEST)
        for bit in range(0, 8 * len(data), 3):
            with pytest.raises((DamageError, NewerFormatError)):
                decode_manifest(flipped(data, bit), "m")

    @pytest.mark.parametrize("size", [0, 1, 100, -1])
    def test_cut_short_is_damage(self, size):
        with pytest.raises(DamageError, match=r"^m "):
            decode_manifest(encode_manifest(MANIFEST)[:size], "m")

    def test_unknown_fields_are_tolerated_at_every_level(self):
        extended = tree()
        snapshot = extended["metadata"]["akosha_snap"]
        for place in (extended, extended["metadata"], snapshot, *snapshot["files"], *snapshot["chunk_list"]):
            place["later"] = {"a": [1, 2.5, None, "é"]}
        assert decode_manifest(sealed(extended), "m").snapshot == MANIFEST.snapshot

    @pytest.mark.parametrize("format_number", [2, 10**12])
    def test_a_newer_format_is_newer_however_strange_the_rest(self, format_number):
        for newer in (
            info(format=format_number),
            json.dumps({"metadata": {"akosha_snap": {"format": format_number, "files": "elsewhere"}}}).encode(),
        ):
            with pytest.raises(NewerFormatError, match="newer"):
                decode_manifest(newer, "m")

    @pytest.mark.parametrize("format_number", [0, -1, "1", None, 1.0, True])
    def test_an_impossible_format_is_damage(self, format_number):
        with pytest.raises(DamageError):
            decode_manifest(info(format=format_number), "m")

    @pytest.mark.parametrize(
        "data",
        [b"", b"[]", b"null", b"{}", b'{"metadata":[]}', b'{"metadata":{"akosha_snap":[]}}', b"\xff\xfe", b"{" * 50_000,
         b"[" * 50_000, b'"\\ud800"', b'{"metadata":{"akosha_snap":{"format":1}}}', b"1e999"],
    )  # fmt: skip
    def test_what_is_no_manifest_is_damage(self, data):
        with pytest.raises(DamageError):
            decode_manifest(data, "m")

    @pytest.mark.parametrize("name", ["../x", "", ".", "..", "a/b", "a\\b", "a\0b", "x" * 256])
    def test_a_name_that_leaves_the_folder_is_damage(self, name):
        files = tree()["metadata"]["akosha_snap"]["files"]
        with pytest.raises(DamageError, match="impossible file"):
            decode_manifest(info(files=[files[0] | {"name": name}]), "m")

    @pytest.mark.parametrize("lie", [{"size": -1}, {"blake3": "AB" * 32}, {"blake3": "ab"}, {"kind": "other"}])
    def test_an_impossible_file_is_damage(self, lie):
        files = tree()["metadata"]["akosha_snap"]["files"]
        with pytest.raises(DamageError, match=r"impossible file|Invalid enum value 'other'|Expected `int` >= 0"):
            decode_manifest(info(files=[files[0] | lie]), "m")

    @pytest.mark.parametrize("root", ["0" * 64, "", "x", bytes(31).hex(), MANIFEST.snapshot.root.upper()])
    def test_a_root_that_is_not_that_of_the_files_is_damage(self, root):
        with pytest.raises(DamageError, match="another root"):
            decode_manifest(info(root=root), "m")

    @pytest.mark.parametrize("lie", [{"size": 8}, {"blake3": "01" * 32}, {"name": "c"}])
    def test_files_of_another_root_are_damage(self, lie):
        files = tree()["metadata"]["akosha_snap"]["files"]
        with pytest.raises(DamageError, match="another root"):
            decode_manifest(info(files=[files[0] | lie, files[1]]), "m")

    @pytest.mark.parametrize("files", [[], ["a.duckdb"], ["b", "a.duckdb"], ["a.duckdb", "b", "c"], ["a", "b"]])
    def test_files_that_are_not_the_last_components_of_the_uris_are_damage(self, files):
        with pytest.raises(DamageError, match="other files to Akosha"):
            decode_manifest(sealed(tree() | {"files": files}), "m")

    @pytest.mark.parametrize("time", ["2026-11-23T07:15:00", "2026-11-23T07:15:00+01:00", "2026-11-23T07:15:00-00:01"])
    def test_a_time_that_is_not_utc_is_damage(self, time):
        with pytest.raises(DamageError, match="in UTC"):
            decode_manifest(sealed(tree() | {"uploaded_at": time}), "m")

    @pytest.mark.parametrize("time", ["2026-11-23T07:15:00Z", "2026-11-23T07:15:00+00:00"])
    def test_utc_is_utc_however_it_is_written(self, time):
        assert decode_manifest(sealed(tree() | {"uploaded_at": time}), "m").uploaded_at == NOW

    def test_a_file_named_twice_is_damage(self):
        files = tree()["metadata"]["akosha_snap"]["files"]
        with pytest.raises(DamageError, match="twice"):
            decode_manifest(info(files=[files[0], files[0]]), "m")

    @pytest.mark.parametrize(
        "lie",
        [{"hash": "x" * 64}, {"pack": "../../x"}, {"raw_size": MAX_LIST_SIZE + 1}, {"raw_size": -1}, {"offset": -1},
         {"stored_size": -1}, {"stored_size": 901, "raw_size": 2000}, {"stored_size": 81}, {"pack_size": 149},
         {"pack_size": MAX_PACK_SIZE + 1}, {"bases": [0]}, {"bases": [-1]}],
        ids=str,
    )  # fmt: skip
    def test_a_chunk_list_at_an_impossible_place_is_damage(self, lie):
        with pytest.raises(DamageError, match="impossible place"):
            decode_manifest(info(chunk_list=[msgspec.to_builtins(LOCATION) | lie]), "m")

    @pytest.mark.parametrize(
        "edge",
        [{"raw_size": MAX_LIST_SIZE}, {"stored_size": 80}, {"pack_size": 150}, {"pack_size": MAX_PACK_SIZE},
         {"stored_size": 900, "raw_size": 900}, {"offset": 0}],
        ids=str,
    )  # fmt: skip
    def test_one_at_the_edge_of_what_is_possible_is_read(self, edge):
        (place,) = decode_manifest(info(chunk_list=[msgspec.to_builtins(LOCATION) | edge]), "m").snapshot.chunk_list
        assert msgspec.to_builtins(place) == msgspec.to_builtins(LOCATION) | edge

    @pytest.mark.parametrize("count", [0, MAX_DEPTH * MAX_BASES + 1])
    def test_a_chunk_list_nowhere_or_of_too_many_frames_is_damage(self, count):
        with pytest.raises(DamageError, match=f"locates its chunk list by {count} frames"):
            decode_manifest(info(chunk_list=[msgspec.to_builtins(LOCATION)] * count), "m")

    @pytest.mark.parametrize("bases", [[[], []], [[], [], [0]], [[], [0], [0]], [[], [], [1], [2]], [[], [0], [1], []]])
    def test_an_older_chunk_list_that_nothing_needs_is_damage(self, bases):
        entries = [msgspec.to_builtins(LOCATION) | {"bases": of} for of in bases]
        with pytest.raises(DamageError, match="that nothing needs"):
            decode_manifest(info(chunk_list=entries), "m")

    def test_the_size_of_all_chunk_lists_together_is_bounded(self):
        chain = [msgspec.to_builtins(LOCATION) | {"raw_size": 2**26, "bases": [i - 1] if i else []} for i in range(4)]
        assert sum(entry["raw_size"] for entry in chain) == MAX_POINTERS_SIZE
        assert len(decode_manifest(info(chunk_list=chain), "m").snapshot.chunk_list) == 4
        chain.insert(0, msgspec.to_builtins(LOCATION) | {"raw_size": 1, "stored_size": 1})
        for i, entry in enumerate(chain):
            entry["bases"] = [i - 1] if i else []
        with pytest.raises(DamageError, match="bytes of chunk lists"):
            decode_manifest(info(chunk_list=chain), "m")

    @pytest.mark.parametrize(("depth", "fine"), [(MAX_DEPTH, True), (MAX_DEPTH + 1, False), (10_000, False)])
    def test_the_chunk_lists_bases_are_bounded_in_depth(self, depth, fine):
        chain = [msgspec.to_builtins(LOCATION) | {"bases": [i - 1] if i else []} for i in range(depth)]
        if fine:
            assert len(decode_manifest(info(chunk_list=chain), "m").snapshot.chunk_list) == depth
        else:
            with pytest.raises(DamageError, match=r"frames one after another|locates its chunk list by 10000 frames"):
                decode_manifest(info(chunk_list=chain), "m")

    def test_too_many_bases_are_damage(self):
        chain = [msgspec.to_builtins(LOCATION)] * 2
        with pytest.raises(DamageError, match="impossible place"):
            decode_manifest(info(chunk_list=[chain[0], chain[1] | {"bases": [0] * (MAX_BASES + 1)}]), "m")


class TestAkoshasBounds:
    """What `make_manifest` of a push writes where Akosha's bounds are exceeded."""

    @staticmethod
    def manifest(*, conversations: int = 0, size: int = 1, name: str = "a", now: dt.datetime = NOW) -> Manifest:
        pointer = FullFile(f"systems/{SYSTEM}/u/{name}", size, HASH, HASH)
        return commit.make_manifest(
            root=bytes(32),
            parent=None,
            entries=[FileEntry(name, "plain", size, HASH, 1, pointer)],
            chunk_list=[LOCATION],
            counts=Counts(conversations=conversations),
            cost=Cost(0, 0, 0, 0),
            now=now,
        )

    def test_a_manifest_is_one_akosha_accepts(self):
        check_manifest(encode_manifest(self.manifest()), NOW)

    def test_two_million_conversations_are_capped_and_ours_are_true(self):
        manifest = self.manifest(conversations=2_000_000)
        check_manifest(encode_manifest(manifest), NOW)
        assert manifest.conversation_count == 1_000_000
        assert manifest.snapshot.counts.conversations == 2_000_000

    @pytest.mark.parametrize(("size", "named"), [(10**11, 10**11), (10**11 + 1, None)])
    def test_more_than_100_gb_are_not_named_in_total(self, size, named):
        manifest = self.manifest(size=size)
        check_manifest(encode_manifest(manifest), NOW)
        assert manifest.total_size_bytes == named
        assert manifest.snapshot.files[0].size == size

    def test_the_time_is_utc_to_the_second(self):
        somewhere = dt.timezone(dt.timedelta(hours=-7, minutes=-30))
        manifest = self.manifest(now=NOW.astimezone(somewhere).replace(microsecond=999_999))
        assert json.loads(encode_manifest(manifest))["uploaded_at"] == "2026-11-23T07:15:00Z"


def chunk_list(**changes: Any) -> ChunkList:
    """Three frames: one in a pack of its own, two in the list's pack, the last with two bases."""
    honest = {
        "format": 1, "packs": [b"p" * 32, b""], "pack_sizes": [1000, 0], "hashes": b"a" * 32 + b"b" * 32 + b"c" * 32,
        "raw_sizes": [100, 200, 300], "pack": [0, 1, 1], "offsets": [0, 0, 50], "stored_sizes": [60, 50, 10],
        "codecs": [1, 0, 1], "bases": [[], [], [1, 0]],
        "files": [ListedFile("f", 500, bytes(32), [1, 2]), ListedFile("g", 200, bytes(32), [0, 0])],
    }  # fmt: skip
    return ChunkList(**(honest | changes))


def chain(depth: int) -> ChunkList:
    """`depth` frames, each with the one before as base."""
    return chunk_list(
        hashes=bytes(32 * depth), raw_sizes=[1] * depth, pack=[1] * depth, offsets=list(range(depth)),
        stored_sizes=[1] * depth, codecs=[1] * depth, bases=[[i - 1] if i else [] for i in range(depth)], files=[],
    )  # fmt: skip


class TestChunkList:
    def test_it_comes_back(self):
        value = chunk_list()
        assert in_lists(decode_chunk_list(encode_chunk_list(value), "l")) == value
        assert value.depths() == [1, 1, 2]

    def test_an_empty_one_is_fine(self):
        value = chunk_list(packs=[b""], pack_sizes=[0], hashes=b"", raw_sizes=[], pack=[], offsets=[], stored_sizes=[],
                           codecs=[], bases=[], files=[])  # fmt: skip
        assert in_lists(decode_chunk_list(encode_chunk_list(value), "l")) == value

    def test_unknown_fields_are_tolerated(self):
        later = msgspec.to_builtins(chunk_list(), builtin_types=(bytes,)) | {"later": [1, {"x": 2}]}
        assert in_lists(decode_chunk_list(msgspec.msgpack.encode(later), "l")) == chunk_list()

    @pytest.mark.parametrize("rest", [{}, {"packs": "otherwise", "files": 7}])
    def test_a_newer_format_is_newer_however_strange_the_rest(self, rest):
        with pytest.raises(NewerFormatError):
            decode_chunk_list(msgspec.msgpack.encode({"format": 2} | rest), "l")

    @pytest.mark.parametrize(
        "lie",
        [
            {"format": 0},
            {"hashes": bytes(95)},
            {"codecs": [1, 0]},
            {"bases": [[], []]},
            {"packs": []},
            {"packs": [b"p" * 32]},
            {"packs": [b"p" * 31, b""]},
            {"packs": [b"", b""]},
            {"pack_sizes": [1000]},
            {"pack_sizes": [59, 0]},
            {"pack": [0, 1, 2]},
            {"pack": [0, 1, -1]},
            {"offsets": [-1, 0, 50]},
            {"offsets": [941, 0, 50]},
            {"stored_sizes": [-1, 50, 10]},
            {"raw_sizes": [100, 200, MAX_CHUNK_SIZE + 1]},
            {"raw_sizes": [-100, 400, 300]},
            {"raw_sizes": [59, 200, 300], "files": []},
            {"raw_sizes": [100, 49, 300], "files": []},
            {"pack_sizes": [MAX_PACK_SIZE + 1, 0]},
            {"pack_sizes": [-1, 0], "pack": [1, 1, 1]},
            {"pack_sizes": [1000, MAX_PACK_SIZE + 1]},
            {"offsets": [0, 0, MAX_PACK_SIZE - 9]},
            {"bases": [[], [], [3]]},
            {"bases": [[], [], [-1]]},
            {"bases": [[], [], [2]]},
            {"bases": [[], [2], [1]]},
            {"bases": [[1], [], []]},
            {"bases": [[], [], [0] * (MAX_BASES + 1)]},
            {"files": [ListedFile("f", 499, bytes(32), [1, 2])]},
            {"files": [ListedFile("f", 500, bytes(32), [1, 3])]},
            {"files": [ListedFile("f", 500, bytes(32), [1, -1])]},
        ],
        ids=lambda lie: f"{next(iter(lie))}={next(iter(lie.values()))!r:.50}",
    )
    def test_a_list_that_lies_is_damage(self, lie):
        with pytest.raises(DamageError, match=r"^l "):
            decode_chunk_list(encode_chunk_list(chunk_list(**lie)), "l")

    @pytest.mark.parametrize("depth", [MAX_DEPTH + 1, 10_000])
    def test_too_deep_a_chain_is_damage(self, depth):
        with pytest.raises(DamageError):
            decode_chunk_list(encode_chunk_list(chain(depth)), "l")

    def test_the_deepest_chain_is_read(self):
        assert max(decode_chunk_list(encode_chunk_list(chain(MAX_DEPTH)), "l").depths()) == MAX_DEPTH

    @pytest.mark.parametrize(
        "data",
        [b"", b"\xc0", b"\x80", b"\x91" * 50_000, b"\xdd\xff\xff\xff\xff", b"\x81\xa6format\x01", b"\x81\xa1\xff\1"],
    )
    def test_what_is_no_list_is_damage(self, data):
        with pytest.raises(DamageError):
            decode_chunk_list(data, "l")

    @pytest.mark.parametrize(
        "edge",
        [{"pack_sizes": [MAX_PACK_SIZE, 0]}, {"pack_sizes": [60, 0]}, {"offsets": [0, 0, MAX_PACK_SIZE - 10]},
         {"offsets": [940, 0, 50]}, {"stored_sizes": [100, 50, 10]}],
        ids=str,
    )  # fmt: skip
    def test_one_at_the_edge_of_what_is_possible_is_read(self, edge):
        value = chunk_list(**edge)
        assert in_lists(decode_chunk_list(encode_chunk_list(value), "l")) == value

    @pytest.mark.parametrize("column", ["raw_sizes", "packs", "pack_sizes", "pack", "bases", "frames"])
    def test_columns_are_bounded_in_length(self, column):
        """Even those that agree with each other; every column ends in zeros of one byte each."""
        many: list[Any] = [b"" if column == "packs" else [] if column == "bases" else 0] * (MAX_LISTED + 1)
        lie = {"files": [ListedFile("f", 500, bytes(32), many)]} if column == "frames" else {column: many}
        with pytest.raises(DamageError, match="length <= 2000000"):
            decode_chunk_list(encode_chunk_list(chunk_list(**lie)), "l")

    def test_20_million_empty_bases_take_no_memory(self):
        """As lists of Python they would take over 1 GB."""
        count = 20_000_000
        bases = msgspec.Raw(b"\xdd" + count.to_bytes(4, "big") + b"\x90" * count)
        honest = msgspec.msgpack.decode(encode_chunk_list(chunk_list()))
        data = msgspec.msgpack.encode(honest | {"bases": bases})
        del bases
        tracemalloc.start()
        try:
            with pytest.raises(DamageError, match="length <= 2000000"):
                decode_chunk_list(data, "l")
            assert tracemalloc.get_traced_memory()[1] < 100 * MIB - len(data)
        finally:
            tracemalloc.stop()


class TestStoreFormat:
    def test_it_comes_back(self):
        assert decode_format(encode_format(StoreFormat()), "f") == StoreFormat()

    def test_its_bytes_are_those_of_format_v1(self):
        assert encode_format(StoreFormat()) == (
            b'{"chunker":{"algorithm":"fastcdc-2020","avg_size":65536,"max_size":262144,"min_size":16384,'
            b'"normalization":1,"seed":0},"codecs":["raw","zstd"],"format":1,"hash":"blake3-256"}'
        )

    def test_a_newer_one_is_newer_however_strange_the_rest(self):
        with pytest.raises(NewerFormatError, match="f has format 2"):
            decode_format(b'{"format":2,"chunker":"by hand"}', "f")

    @pytest.mark.parametrize(
        "data",
        [b"", b"[]", b"{}", b'{"format":"1"}', b'{"format":0}', b'{"format":1,"hash":5}', b"\xff", b"[" * 50_000,
         b'{"format":1,"x":' + b"[" * 50_000],
        ids=lambda data: repr(data[:20]),
    )  # fmt: skip
    def test_what_is_no_format_is_damage(self, data):
        with pytest.raises(DamageError):
            decode_format(data, "f")


class TestRoot:
    def test_it_follows_the_rule(self):
        from blake3 import blake3

        files = [("b", 3, b"\1" * 32), ("a é", 5, b"\2" * 32)]
        lines = b"02" * 32 + " 5 a é\n".encode() + b"01" * 32 + b" 3 b\n"
        assert snapshot_root(files) == blake3(lines).digest()

    def test_order_does_not_matter_and_everything_else_does(self):
        one, two = ("a", 1, bytes(32)), ("b", 2, b"\1" * 32)
        roots = {
            snapshot_root(files)
            for files in ([one, two], [two, one], [one], [("a", 2, bytes(32)), two], [("c", 1, bytes(32)), two])
        }
        assert len(roots) == 4


def test_a_manifest_of_a_million_chunks_worth_of_files_stays_small():
    files = [Described(f"file-{i}", MIB, bytes(32), 1000) for i in range(1000)]
    assert len(encode_manifest(make_manifest("u", files, LOCATION))) < MIB
