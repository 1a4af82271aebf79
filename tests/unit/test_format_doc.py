"""docs/format.md: its examples are real, its tables are complete, its limits are those of the code."""

from __future__ import annotations

import datetime as dt
import json
import re
from pathlib import Path
from typing import get_args

import msgspec
import pytest
import second_reader
from akosha_rules import check_manifest
from blake3 import blake3

from akosha_snap.chunking import V1, ChunkerParams
from akosha_snap.frames import TRAILER_SIZE, Codec, Footer, decode, limits, read_footer
from akosha_snap.frames import codec as frame_codec
from akosha_snap.frames import pack as frame_pack
from akosha_snap.manifest import (
    ChunkList,
    Cost,
    Counts,
    FileEntry,
    FrameLocation,
    FullFile,
    ListedFile,
    Manifest,
    SnapshotInfo,
    StoreFormat,
    decode_damage,
    decode_manifest,
    encode_damage,
    encode_format,
    encode_manifest,
    keys,
    prune_mark,
)
from akosha_snap.manifest.codec import MAX_MANIFEST_SIZE, MAX_VALUES
from akosha_snap.manifest.ids import bare_name, check_system_id, upload_time
from akosha_snap.manifest.root import snapshot_root
from akosha_snap.snapshot.bases import WRITER_DEPTH
from akosha_snap.snapshot.packer import PACK_TARGET
from akosha_snap.snapshot.time_limit import PRUNE_LIMIT, PUSH_LIMIT, SHORTEST_GRACE

DOCUMENT = (Path(__file__).parents[2] / "docs" / "format.md").read_text("utf-8")
UNITS = {"": 1, "KiB": 1 << 10, "MiB": 1 << 20}


def example(name: str) -> str:
    """The block of code under `<!-- example: name -->`."""
    match = re.search(rf"<!-- example: {name} -->\n```\w*\n(.*?)```", DOCUMENT, re.DOTALL)
    assert match, f"no example {name}"
    return match[1]


def table(after: str) -> list[list[str]]:
    """The cells of the first table from the line with this text on, without its head."""
    start = DOCUMENT.rindex("\n", 0, DOCUMENT.index(after)) + 1
    rows: list[str] = []
    for line in DOCUMENT[start:].splitlines():
        if line.startswith("|"):
            rows.append(line)
        elif rows:
            break
    return [[cell.strip() for cell in row.strip("|").split("|")] for row in rows[2:]]


def named(rows: list[list[str]], column: int = 0) -> list[str]:
    """The names in backticks of one column."""
    return [name for row in rows for name in re.findall(r"`([\w.]+)`", row[column].replace("[]", ""))]


def sizes(text: str) -> list[int]:
    """Every amount in a text, in bytes where it has a unit."""
    found = re.findall(r"(\d[\d,]*)(?: (KiB|MiB))?", text)
    return [int(number.replace(",", "")) * UNITS[unit] for number, unit in found]


def fields(struct: type[msgspec.Struct]) -> list[str]:
    return [field.encode_name for field in msgspec.structs.fields(struct)]


# --- manifest.json --------------------------------------------------------------------------------------------


@pytest.fixture
def manifest() -> dict:
    return json.loads(example("manifest"))


def test_the_manifest_parses_with_both_readers(manifest):
    stored = second_reader.canonical(manifest)
    assert second_reader.parse_manifest(stored) == manifest
    assert encode_manifest(decode_manifest(stored, "the example")) == stored


def test_the_manifest_checksums_however_it_is_laid_out(manifest):
    decode_manifest(example("manifest").encode(), "the example")
    with pytest.raises(second_reader.RefusedError):
        second_reader.parse_manifest(example("manifest").replace('"chunks": 11', '"chunks": 12').encode())


def test_the_manifest_is_one_of_the_frozen_store(manifest):
    path = Path(__file__).parents[1] / "fixtures/v1/store" / manifest_key_of(manifest)
    assert path.read_bytes() == second_reader.canonical(manifest)


def manifest_key_of(manifest: dict) -> str:
    return manifest["metadata"]["akosha_snap"]["files"][0]["full_file"]["uri"].rsplit("/", 1)[0] + "/manifest.json"


def test_the_manifest_keeps_the_rules_of_akosha(manifest):
    check_manifest(example("manifest").encode(), now=dt.datetime.fromisoformat(manifest["uploaded_at"]))


def test_the_manifest_agrees_with_itself(manifest):
    info = manifest["metadata"]["akosha_snap"]
    _, upload = keys.upload_key(manifest_key_of(manifest))
    assert upload_time(upload) == dt.datetime.fromisoformat(manifest["uploaded_at"])
    assert upload.endswith(f"-{info['root'][:8]}")
    listed = [(file["name"], file["size"], bytes.fromhex(file["blake3"])) for file in info["files"]]
    assert snapshot_root(listed).hex() == info["root"]
    assert manifest["files"] == [bare_name(file["name"]) for file in info["files"]]
    assert manifest["files"] == [file["full_file"]["uri"].rsplit("/", 1)[1] for file in info["files"]]
    assert manifest["total_size_bytes"] == sum(file["size"] for file in info["files"])
    assert manifest["conversation_count"] == info["counts"]["conversations"]


def test_the_manifest_example_has_every_field(manifest):
    info = manifest["metadata"]["akosha_snap"]
    assert sorted(manifest) == sorted(fields(Manifest))
    assert sorted(info) == sorted(fields(SnapshotInfo)) == explained_in_manifest()
    for value, struct in [
        (info["counts"], Counts),
        (info["cost"], Cost),
        (info["files"][0], FileEntry),
        (info["files"][0]["full_file"], FullFile),
        (info["chunk_list"][0], FrameLocation),
    ]:
        assert sorted(value) == sorted(fields(struct))


def explained_in_manifest() -> list[str]:
    return sorted({name.split(".")[0] for name in named(table("field of `metadata.akosha_snap`"))})


def test_every_field_of_a_file_is_explained():
    rows = {row[0]: row for row in table("field of `metadata.akosha_snap`")}
    assert set(fields(FileEntry)) <= set(named([rows["`files[]`"]], 1))
    assert set(fields(FullFile)) <= set(named([rows["`files[].full_file`"]], 1))
    assert set(fields(Cost)) == set(named([rows["`cost`"]], 1))
    kinds = next(field for field in msgspec.structs.fields(FileEntry) if field.name == "kind").type
    assert set(get_args(kinds)) <= set(named([rows["`files[]`"]], 1))


def test_every_field_of_a_frame_location_is_explained():
    assert sorted(named(table("`chunk_list` is an array of frame locations"))) == sorted(fields(FrameLocation))


# --- packs, chunk lists, frames -------------------------------------------------------------------------------


@pytest.fixture
def pack() -> bytes:
    return bytes.fromhex(example("pack").split("pack id")[0])


def test_the_pack_is_named_by_its_blake3(pack):
    assert example("pack").split()[-1] == blake3(pack).hexdigest()


def test_the_pack_reads_with_both_readers(pack):
    footer = read_footer(pack, len(pack))
    assert msgspec.to_builtins(footer, builtin_types=(bytes,)) == second_reader.read_footer(pack)
    (entry,) = footer.entries()
    stored = pack[entry.offset : entry.offset + entry.stored_size]
    assert decode(entry.codec, stored, entry.raw_size) == b"hello"
    assert list(second_reader.walk_pack(pack, {})) == [(entry.hash, b"hello", False)]


def test_the_trailer_lies_where_the_table_says(pack):
    rows = [(int(offset), int(length), meaning) for offset, length, meaning in table("The trailer is the last")]
    ends = [offset + length for offset, length, _ in rows]
    assert [offset for offset, _, _ in rows] == [0, *ends[:-1]]
    assert ends[-1] == TRAILER_SIZE == sizes(re.search(r"The trailer is the last (\d+) bytes", DOCUMENT)[1])[0]
    trailer = pack[-TRAILER_SIZE:]
    size, digest, magic, version = (trailer[offset : offset + length] for offset, length, _ in rows)
    footer = pack[-TRAILER_SIZE - int.from_bytes(size, "little") : -TRAILER_SIZE]
    assert digest == blake3(footer).digest()
    assert magic.hex(" ") in rows[2][2]
    assert version == b"\x01"


def test_every_column_of_a_footer_is_explained():
    assert sorted(named(table("The footer is a msgpack map"))) == sorted(fields(Footer))


def test_every_column_of_a_chunk_list_is_explained():
    rows = table("A msgpack map, stored as a frame like any chunk")
    assert sorted(named(rows)) == sorted(fields(ChunkList))
    listed_file = next(row for row in rows if row[0] == "`files`")
    assert sorted(named([listed_file], 1)) == sorted(fields(ListedFile))


def test_the_codecs():
    assert [cell.split() for cell, _ in table("## Frames")] == [[str(int(c)), c.name.lower()] for c in Codec]


# --- format.json, keys, limits --------------------------------------------------------------------------------


def test_format_json_is_what_a_push_writes():
    written = encode_format(StoreFormat())
    assert second_reader.canonical(json.loads(example("format"))) == written
    assert sorted(json.loads(written)) == sorted(fields(StoreFormat))
    assert sorted(json.loads(written)["chunker"]) == sorted(fields(ChunkerParams))


def test_the_mark_is_what_a_prune_writes():
    mark = prune_mark.decode_mark(example("mark").encode(), "the example")
    assert second_reader.canonical(json.loads(example("mark"))) == prune_mark.encode_mark(mark)


def test_the_times_of_prune_are_those_of_the_code():
    section = DOCUMENT[DOCUMENT.index("## Prune") : DOCUMENT.index("## Limits")]
    assert f"T + {PUSH_LIMIT / 3600:.0f} hours" in section
    assert f"later than {PRUNE_LIMIT / 60:.0f} minutes" in section
    assert f"at least {SHORTEST_GRACE / 3600:.0f} hours" in section


def test_the_keys_are_those_the_code_makes():
    block = re.search(r"## Keys\n\n```\n(.*?)```", DOCUMENT, re.DOTALL)[1]
    system, upload, pack_id = "<system_id>", "<upload_id>", bytes(range(32))
    packs = keys.pack_key(system, pack_id).replace(pack_id.hex(), "<pack id>").replace("/00/", "/<xx>/")
    assert [re.split(r"  +", line)[0] for line in block.splitlines()] == [
        keys.system_marker(system),
        keys.upload_marker(system, upload),
        keys.manifest_key(system, upload),
        keys.full_file_key(system, upload, "<file>"),
        keys.format_key(system),
        packs,
        keys.damage_key(system, "<name>"),
        keys.prune_mark_key(system, "<time>-<8 hex>"),
    ]


def test_the_shape_of_a_system_id():
    assert "`system_id`: 1 to 100 of `A-Z a-z 0-9 _ -`." in DOCUMENT
    check_system_id("AZaz09_-" + "x" * 92)


def test_the_limits_are_those_of_the_code():
    stated = {what: sizes(most) for what, most in table("## Limits")}
    assert WRITER_DEPTH <= limits.MAX_DEPTH
    assert stated == {
        "raw size of a chunk": [limits.MAX_CHUNK_SIZE, V1.max_size],
        "raw size of a chunk list": [limits.MAX_LIST_SIZE],
        "bases of one frame": [limits.MAX_BASES],
        "frames decoded one after another for one chunk": [limits.MAX_DEPTH],
        "entries of a manifest's `chunk_list`": [limits.MAX_DEPTH * limits.MAX_BASES],
        "raw size of all entries of a manifest's `chunk_list` together": [limits.MAX_POINTERS_SIZE],
        "frames, or entries of one file, in a chunk list": [limits.MAX_LISTED],
        "files of a snapshot": [limits.MAX_FILES],
        "frames of a pack": [limits.MAX_FRAMES, frame_pack._MAX_FRAMES],
        "a pack": [limits.MAX_PACK_SIZE],
        "a footer": [limits.MAX_FOOTER_SIZE],
        "a manifest": [MAX_MANIFEST_SIZE],
        "commas and opening brackets in a manifest": [MAX_VALUES],
        "a mark of prune": [prune_mark.MAX_MARK_SIZE, prune_mark.MAX_PACKS],
        "the window a zstd frame asks for": [frame_codec._MAX_WINDOW],
    }


def test_the_limits_of_the_second_reader_are_those_of_the_document():
    assert second_reader.MAX_CHUNK == limits.MAX_CHUNK_SIZE
    assert second_reader.MAX_LIST == limits.MAX_LIST_SIZE
    assert second_reader.MAX_FOOTER == limits.MAX_FOOTER_SIZE
    assert second_reader.MAX_MANIFEST == MAX_MANIFEST_SIZE
    assert second_reader.MAX_WINDOW == frame_codec._MAX_WINDOW
    assert (second_reader.MAX_PACK, second_reader.MAX_LISTS) == (limits.MAX_PACK_SIZE, limits.MAX_POINTERS_SIZE)
    assert (second_reader.MAX_BASES, second_reader.MAX_CHAIN) == (limits.MAX_BASES, limits.MAX_DEPTH)


def test_what_writers_keep_to():
    (largest,) = sizes(re.search(r"Writers keep packs within (.*?),", DOCUMENT)[1])
    assert largest >= PACK_TARGET


def test_the_chunker_is_that_of_the_code():
    section = DOCUMENT[DOCUMENT.index("## How files are cut") :]
    stated = sizes(re.search(r"smallest chunk.*?gear table seed \d", section, re.DOTALL)[0])
    assert stated == [V1.min_size, V1.avg_size, V1.max_size, V1.normalization, V1.seed]


@pytest.mark.parametrize(
    "struct",
    [Manifest, SnapshotInfo, FileEntry, FullFile, FrameLocation, Counts, Cost, ChunkList, ListedFile, Footer,
     StoreFormat, ChunkerParams, prune_mark.PruneMark],
)  # fmt: skip
def test_every_field_is_in_the_document(struct):
    assert [name for name in fields(struct) if not re.search(rf'[`"]{name}[`"]', DOCUMENT)] == []


def test_the_damage_example_is_what_is_written():
    written = encode_damage(decode_damage(example("damage").encode(), "the example"))
    assert second_reader.canonical(json.loads(example("damage"))) == written
