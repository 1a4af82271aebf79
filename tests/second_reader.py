"""A second reader of a folder store, written from docs/format.md alone: nothing here comes from akosha_snap.

It is the living proof that the document suffices, so it is kept short and plain: it holds whole files in
memory, and reads whole packs.
"""

import datetime as dt
import hashlib
import itertools
import json
import re
import struct
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import msgspec
import zstandard
from blake3 import blake3

MIB = 1 << 20
MAX_CHUNK, MAX_LIST, MAX_FOOTER, MAX_MANIFEST, MAX_WINDOW = MIB, 64 * MIB, 16 * MIB, 16 * MIB, 256 * MIB
MAX_PACK, MAX_LISTS, MAX_BASES, MAX_CHAIN = 128 * MIB, 256 * MIB, 16, 64
TRAILER = struct.Struct("<I32s7sB")  # size and BLAKE3 of the footer, magic, version


class RefusedError(Exception):
    """What is stored is not what the document says."""


class NewerFormatError(Exception):
    """Made by a later version of the format."""


def check(condition: object, problem: str) -> None:
    if not condition:
        raise RefusedError(problem)


def check_format(version: int) -> None:
    if version > 1:
        raise NewerFormatError(version)
    check(version == 1, f"format {version}")


# --- manifest.json --------------------------------------------------------------------------------------------


def canonical(value: Any) -> bytes:
    return json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=False).encode()


def parse_manifest(stored: bytes) -> dict[str, Any]:
    check(len(stored) <= MAX_MANIFEST, "manifest too large")
    manifest: dict[str, Any] = json.loads(stored)
    check_format(manifest["metadata"]["akosha_snap"]["format"])
    expected = hashlib.sha256(canonical({**manifest, "checksum": None})).hexdigest()
    check(manifest["checksum"] == expected, "manifest checksum")
    snapshot = manifest["metadata"]["akosha_snap"]
    uris = [file["full_file"]["uri"] for file in snapshot["files"]]
    check(manifest["files"] == [uri.rpartition("/")[2] for uri in uris], "files are not those of the uris")
    check(dt.datetime.fromisoformat(manifest["uploaded_at"]).utcoffset() == dt.timedelta(0), "not UTC")
    places = snapshot["chunk_list"]
    check({base for at in places for base in at["bases"]} == set(range(len(places) - 1)), "lists that nothing needs")
    check(sum(at["raw_size"] for at in places) <= MAX_LISTS, "chunk lists together")
    return manifest


def snapshots(store: Path, system: str) -> list[str]:
    """Upload ids of the system's snapshots, the newest last."""
    check_format(json.loads((store / "akosha-snap" / system / "format.json").read_bytes())["format"])
    found = (path.parent.name for path in (store / "systems" / system).glob("*/manifest.json"))
    return sorted(name for name in found if re.fullmatch(r"[0-9]{8}T[0-9]{6}Z-[0-9a-f]{8}", name))


def manifest_of(store: Path, system: str, upload: str) -> dict[str, Any]:
    return parse_manifest((store / "systems" / system / upload / "manifest.json").read_bytes())


# --- frames ---------------------------------------------------------------------------------------------------


def decode_frame(stored: bytes, name: bytes, raw_size: int, codec: int, bases: list[bytes], limit: int) -> bytes:
    check(len(stored) <= raw_size <= limit, "raw size")
    check(len(bases) <= MAX_BASES, "bases")
    if codec == 0:
        check(not bases, "a raw frame with bases")
        raw = stored
    else:
        check(codec == 1, f"codec {codec}")
        header = zstandard.get_frame_parameters(stored)
        check(header.content_size == raw_size, "content size")
        check(header.has_checksum and not header.dict_id, "frame header")
        check(header.window_size <= MAX_WINDOW, "window")
        prefix = zstandard.ZstdCompressionDict(b"".join(bases), dict_type=zstandard.DICT_TYPE_RAWCONTENT)
        decoder = zstandard.ZstdDecompressor(dict_data=prefix if bases else None, max_window_size=MAX_WINDOW)
        raw = decoder.decompress(stored, max_output_size=raw_size, allow_extra_data=False)
    check(len(raw) == raw_size and blake3(raw).digest() == name, f"chunk {name.hex()}")
    return raw


# --- packs ----------------------------------------------------------------------------------------------------


def read_pack(store: Path, system: str, pack: bytes) -> bytes:
    data = (store / "akosha-snap" / system / "packs" / pack.hex()[:2] / pack.hex()).read_bytes()
    check(len(data) <= MAX_PACK, "pack too large")
    check(blake3(data).digest() == pack, f"pack {pack.hex()}")
    return data


def split(joined: bytes) -> list[bytes]:
    check(len(joined) % 32 == 0, "hashes")
    return [joined[at : at + 32] for at in range(0, len(joined), 32)]


def read_footer(pack: bytes) -> dict[str, Any]:
    check(len(pack) > TRAILER.size, "pack too short")
    size, digest, magic, version = TRAILER.unpack(pack[-TRAILER.size :])
    check(magic == b"AKSNAP\0", "not a pack")
    check_format(version)
    end = len(pack) - TRAILER.size
    check(size <= min(MAX_FOOTER, end), "footer size")
    check(blake3(pack[end - size : end]).digest() == digest, "footer")
    footer: dict[str, Any] = msgspec.msgpack.decode(pack[end - size : end])
    check_format(footer["format"])
    check(sum(footer["stored_sizes"]) == end - size, "frames do not fill the pack")
    return footer


def walk_pack(pack: bytes, known: Mapping[bytes, bytes]) -> Iterator[tuple[bytes, bytes, bool]]:
    """Each frame of a pack as (name, raw bytes, holds a chunk list); ``known`` has the bases in other packs."""
    footer = read_footer(pack)
    names, sizes = split(footer["hashes"]), footer["stored_sizes"]
    offsets = itertools.accumulate(sizes, initial=0)
    bases_known = [None] * len(names) + [known[name] for name in split(footer["external"])]
    columns = zip(names, offsets, sizes, footer["raw_sizes"], footer["codecs"], footer["bases"], strict=False)
    for i, (name, offset, size, raw_size, codec, bases) in enumerate(columns):
        limit = MAX_LIST if i in footer["lists"] else MAX_CHUNK
        check(all(base < i or base >= len(names) for base in bases), "a base that comes later")
        chosen = [bases_known[base] for base in bases]
        bases_known[i] = decode_frame(pack[offset : offset + size], name, raw_size, codec, chosen, limit)
        yield name, bases_known[i], i in footer["lists"]


def salvage(store: Path, system: str) -> tuple[dict[bytes, bytes], list[dict[str, Any]]]:
    """Every chunk and every chunk list of a system, without any manifest."""
    waiting = [read_pack(store, system, bytes.fromhex(p.name)) for p in pack_files(store, system)]
    known: dict[bytes, bytes] = {}
    lists: list[dict[str, Any]] = []
    while waiting:
        ready = [pack for pack in waiting if known.keys() >= set(split(read_footer(pack)["external"]))]
        check(ready, "bases that no pack holds")
        for pack in ready:
            for name, raw, is_list in walk_pack(pack, known):
                known[name] = raw
                lists += [msgspec.msgpack.decode(raw)] if is_list else []
            waiting.remove(pack)
    return known, lists


def pack_files(store: Path, system: str) -> list[Path]:
    found = (store / "akosha-snap" / system / "packs").glob("??/*")
    return sorted(path for path in found if not path.name.startswith(".tmp-"))


# --- snapshots ------------------------------------------------------------------------------------------------


def read_chunk_list(store: Path, system: str, locations: list[dict[str, Any]]) -> dict[str, Any]:
    raw: list[bytes] = []
    for at in locations:
        pack, end = read_pack(store, system, bytes.fromhex(at["pack"])), at["offset"] + at["stored_size"]
        check(len(pack) == at["pack_size"] >= end, "pack size")
        name, bases = bytes.fromhex(at["hash"]), [raw[base] for base in at["bases"]]
        raw.append(decode_frame(pack[at["offset"] : end], name, at["raw_size"], at["codec"], bases, MAX_LIST))
    listed: dict[str, Any] = msgspec.msgpack.decode(raw[-1])
    check_format(listed["format"])
    return listed


def packs_needed(store: Path, system: str) -> set[bytes]:
    """The packs that any snapshot names."""
    needed: set[bytes] = set()
    for upload in snapshots(store, system):
        locations = manifest_of(store, system, upload)["metadata"]["akosha_snap"]["chunk_list"]
        needed.update(bytes.fromhex(at["pack"]) for at in locations)
        needed.update(read_chunk_list(store, system, locations)["packs"][:-1])  # the last is where the list lies
    return needed


def files(store: Path, system: str, upload: str) -> dict[str, bytes]:
    """Every file of a snapshot, by name."""
    snapshot = manifest_of(store, system, upload)["metadata"]["akosha_snap"]
    listed = read_chunk_list(store, system, snapshot["chunk_list"])
    ids = [*listed["packs"][:-1], bytes.fromhex(snapshot["chunk_list"][-1]["pack"])]
    packs = [read_pack(store, system, pack) for pack in ids]
    sizes = [*listed["pack_sizes"][:-1], snapshot["chunk_list"][-1]["pack_size"]]
    check([len(pack) for pack in packs] == sizes, "pack sizes")
    names, raw, depth = split(listed["hashes"]), {}, {}
    for i in sorted(range(len(names)), key=lambda i: (listed["pack"][i], listed["offsets"][i])):
        bases, offset = listed["bases"][i], listed["offsets"][i]
        depth[i] = 1 + max((depth[base] for base in bases), default=0)
        check(depth[i] <= MAX_CHAIN, "chain of bases")
        stored = packs[listed["pack"][i]][offset : offset + listed["stored_sizes"][i]]
        chosen = [raw[base] for base in bases]
        raw[i] = decode_frame(stored, names[i], listed["raw_sizes"][i], listed["codecs"][i], chosen, MAX_CHUNK)
    rebuilt = {file["name"]: b"".join(raw[i] for i in file["frames"]) for file in listed["files"]}
    check(list(rebuilt) == [file["name"] for file in snapshot["files"]], "files")
    counts = [len(file["frames"]) for file in listed["files"]]
    check(counts == [file["chunks"] for file in snapshot["files"]], "numbers of chunks")
    for file in snapshot["files"]:
        data = rebuilt[file["name"]]
        check(len(data) == file["size"] and blake3(data).hexdigest() == file["blake3"], file["name"])
    check(root(rebuilt) == snapshot["root"], "root")
    return rebuilt


def root(rebuilt: Mapping[str, bytes]) -> str:
    lines = sorted((name.encode(), len(data), blake3(data).hexdigest()) for name, data in rebuilt.items())
    return blake3(b"".join(b"%s %d %s\n" % (digest.encode(), size, name) for name, size, digest in lines)).hexdigest()
