"""Valid inputs of every parser with some of their values changed: our own errors, or nothing at all."""

from __future__ import annotations

import contextlib
import io
import json
import tempfile
import tracemalloc
from collections.abc import Callable
from pathlib import Path
from typing import Any

import msgspec
import pytest
from fuzz.targets import TARGETS, sealed_manifest, seeds, under_trailer
from helpers import MIB, SYSTEM, Bench, Part, craft, noise, profile, prose
from hypothesis import given
from hypothesis import strategies as st

from akosha_snap import api
from akosha_snap.errors import AkoshaSnapError
from akosha_snap.frames import decode, read_footer
from akosha_snap.manifest import ChunkList, decode_chunk_list, decode_format, decode_manifest
from akosha_snap.source.wal import scan_wal

BROKEN = Path(__file__).resolve().parents[1] / "fixtures" / "broken"

numbers = st.sampled_from(
    [-(2**63), -1, 0, 1, 2, 3, 64, 65, 255, 256, 1000, 2**16, 2**20, 2**20 + 1, 2**31, 2**32 - 1, 2**32, 2**63 - 1,
     2**63, 2**64 - 1]
)  # fmt: skip
names = st.sampled_from(
    ["", ".", "..", "../x", "/etc/passwd", "a/b", "a\\b", "C:\\x", "c:x", "NUL", "a\0b", "a\nb", "x" * 300, "\x1b[2J",
     "manifest.json", ".tmp-lock", "ÀÉ", "f", "F"]
)  # fmt: skip
strange = (
    numbers
    | names
    | st.sampled_from([None, True, 0.5, [], {}, b"", bytes(31), bytes(32), bytes(33), [[]], [0], "0" * 64, "A" * 64])
)


@st.composite
def changed(draw: st.DrawFn, tree: Any) -> Any:
    """The tree with one to three of its values replaced, removed, repeated, swapped or edited a little."""
    for _ in range(draw(st.integers(1, 3))):
        tree = _changed_once(draw, tree)
    return tree


def _changed_once(draw: st.DrawFn, tree: Any) -> Any:
    if isinstance(tree, dict | list) and tree and draw(st.integers(0, 9)):
        keys = sorted(tree) if isinstance(tree, dict) else range(len(tree))
        key = draw(st.sampled_from(keys))
        how = draw(st.sampled_from(["inside", "inside", "inside", "remove", "repeat", "swap"]))
        copy = dict(tree) if isinstance(tree, dict) else list(tree)
        if how == "remove":
            del copy[key]
        elif how == "repeat" and isinstance(copy, list):
            copy.insert(key, copy[key])
        elif how == "swap":
            other = draw(st.sampled_from(keys))
            copy[key], copy[other] = copy[other], copy[key]
        else:
            copy[key] = _changed_once(draw, copy[key])
        return copy
    if isinstance(tree, bytes) and tree and draw(st.booleans()):
        at = draw(st.integers(0, len(tree) - 1))
        return draw(st.sampled_from([tree[:at], tree[at:], tree + tree[:at], tree[:at] + b"\xff" + tree[at + 1 :]]))
    if isinstance(tree, int) and draw(st.booleans()):
        return tree + draw(st.sampled_from([-1, 1, 2**32]))
    return draw(strange)


@st.composite
def damaged(draw: st.DrawFn, data: bytes) -> bytes:
    """The bytes with some pieces overwritten, cut, repeated or set to numbers that parsers trip over."""
    for _ in range(draw(st.integers(1, 4))):
        at = draw(st.integers(0, max(0, len(data) - 1)) | st.integers(0, min(200, max(0, len(data) - 1))))
        size = draw(st.sampled_from([1, 2, 4, 8, 100]))
        piece = draw(
            st.binary(max_size=8)
            | numbers.map(lambda n: (n % 2**64).to_bytes(8, "little"))
            | numbers.map(lambda n: (n % 2**32).to_bytes(4, "big"))
            | st.just(data[at : at + size])
        )
        data = data[:at] + piece + data[at + draw(st.sampled_from([0, len(piece), size])) :]
    return data


TREES = {
    "manifest": (msgspec.json.decode, lambda tree: sealed_manifest(tree) if isinstance(tree, dict) else b"[]"),
    "store_format": (msgspec.json.decode, msgspec.json.encode),
    "chunk_list": (msgspec.msgpack.decode, msgspec.msgpack.encode),
    "footer": (msgspec.msgpack.decode, msgspec.msgpack.encode),
}


@pytest.mark.parametrize("name", TREES)
@profile(150)
@given(data=st.data())
def test_changed_values(name: str, data: st.DataObject) -> None:
    decode, encode = TREES[name]
    tree = data.draw(changed(decode(data.draw(st.sampled_from(seeds(name, broken=False))))))
    try:
        encoded = encode(tree)
    except (OverflowError, TypeError, UnicodeEncodeError, msgspec.MsgspecError):
        return  # nothing that can be written
    TARGETS[name](encoded)


@pytest.mark.parametrize("name", TARGETS)
@profile(150)
@given(data=st.data())
def test_changed_bytes(name: str, data: st.DataObject) -> None:
    TARGETS[name](data.draw(damaged(data.draw(st.sampled_from(seeds(name))))))


CRASHERS = [pytest.param(path.parent.name, path, id=str(path.relative_to(BROKEN))) for path in BROKEN.glob("*/*")]


@pytest.mark.parametrize(("name", "path"), CRASHERS)
def test_what_once_broke_a_parser(name: str, path: Path) -> None:
    TARGETS[name](path.read_bytes())


@pytest.mark.parametrize(
    ("parse", "data"),
    [
        (decode_manifest, b'{"a":[' + b"[]," * MIB + b"[]]}"),
        (decode_manifest, b'{"a":' + b"[" * MIB),
        (decode_manifest, b'{"files":[' + b'"ab",' * MIB + b'""]}'),
        (decode_format, b'{"format":1,"codecs":[' + b'"ab",' * (MIB // 4) + b'""]}'),
        (decode_chunk_list, b"\x82\xa6format\x01\xa5packs\xdd\xff\xff\xff\xff" + b"\xc4\0" * MIB),
        (decode_chunk_list, b"\x82\xa6format\x01\xa5bases\xdd\x00\x10\x00\x00" + b"\x90" * MIB),
        (lambda data, _: read_footer(under_trailer(data), MIB),
         b"\x82\xa6format\x01\xa5bases\xdd\0\x10\0\0" + b"\x90" * MIB),
        (lambda data, _: decode(1, data, MIB), bytes.fromhex("28b52ffde4") + b"\xff" * 8 + bytes(100)),
        (lambda data, _: scan_wal(io.BytesIO(data)), bytes.fromhex("640062650002ffff") + b"\xff" * MIB),
    ],
    ids=["lists", "nested lists", "names", "codecs", "packs", "bases", "footer", "frame", "wal"],
)  # fmt: skip
def test_what_is_read_takes_a_bounded_part_of_memory(parse: Callable[[bytes, str], object], data: bytes) -> None:
    """Some 70 bytes for each of input at the worst, an empty list in one byte; nothing for what is claimed."""
    tracemalloc.start()
    try:
        with contextlib.suppress(AkoshaSnapError):
            parse(data, "it")
        assert tracemalloc.get_traced_memory()[1] < 16 * MIB + 80 * len(data)
    finally:
        tracemalloc.stop()


ONE, TWO = prose(5000, 1), prose(4000, 1) + prose(1000, 3)


def _operations(bench: Bench) -> None:
    """Every command on the store, each of which may fail only as it should; nothing is written elsewhere."""
    before = {path for path in bench.folder.rglob("*") if "state" not in path.parts}
    target = bench.folder / "restored" / "here"
    for operate in (
        lambda: bench.restore(to=target),
        lambda: bench.verify(level="data"),
        lambda: bench.verify(level="open"),
        lambda: api.snapshots(bench.store, system_id=SYSTEM),
        lambda: api.show(bench.store, system_id=SYSTEM, chunks=True),
    ):
        with contextlib.suppress(AkoshaSnapError):
            operate()
    allowed = {target.parent, target, *(target / name for name in ("f", "g"))}
    after = {path for path in bench.folder.rglob("*") if "state" not in path.parts}
    assert all(path in allowed or path.parent == target for path in after - before)
    assert not bench.push({"f": ONE, "g": TWO}).unchanged or bench.restored() == {"f": ONE, "g": TWO}
    assert bench.restored("latest") == {"f": ONE, "g": TWO}


@profile(40)
@given(data=st.data())
def test_a_snapshot_with_a_changed_chunk_list_harms_nobody(data: st.DataObject) -> None:
    with tempfile.TemporaryDirectory() as folder:
        bench = Bench(Path(folder))

        def lie(honest: ChunkList) -> Any:
            tree = data.draw(changed(msgspec.msgpack.decode(msgspec.msgpack.encode(honest))))
            files = [type(honest.files[0])(**file) for file in tree.pop("files")]
            return ChunkList(**tree, files=files)

        try:
            _craft(bench, lie)
        except (TypeError, AttributeError, KeyError, ValueError, OverflowError, msgspec.MsgspecError):
            return  # nothing that can be written, or no file to name in the manifest
        _operations(bench)


def _craft(bench: Bench, lie: Any) -> None:
    parts = [[Part(ONE), Part(noise(100))], [Part(TWO, (ONE,))]]
    craft(bench, parts, {"f": [ONE], "g": [TWO]}, lie=lie)


@profile(60)
@given(data=st.data())
def test_a_snapshot_with_a_changed_manifest_harms_nobody(data: st.DataObject) -> None:
    with tempfile.TemporaryDirectory() as folder:
        bench = Bench(Path(folder))
        _craft(bench, lambda honest: honest)
        (key,) = [key for key in bench.objects() if key.endswith("manifest.json")]
        tree = data.draw(changed(msgspec.json.decode(bench.store.get(key))))
        if not isinstance(tree, dict):
            return
        try:
            stored = sealed_manifest(tree)
        except TypeError:
            return
        bench.store.put(key, stored)
        _operations(bench)


def test_nox_fuzzes_every_target() -> None:
    """The noxfile runs without the project's packages, so it has a list of its own."""
    noxfile = Path(__file__).resolve().parents[2] / "noxfile.py"
    assert f"FUZZED = {json.dumps(sorted(TARGETS))}" in noxfile.read_text()
