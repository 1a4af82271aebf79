"""Whatever is named comes back; whatever is read cannot break the reader."""

from __future__ import annotations

import contextlib
import datetime as dt
import hashlib
import json

import msgspec
from akosha_rules import _check_file as check_akosha_name
from akosha_rules import is_system_id
from helpers import Described, in_lists, make_manifest, profile
from hypothesis import given
from hypothesis import strategies as st

from akosha_snap.errors import ConfigError, DamageError, NewerFormatError
from akosha_snap.frames import MAX_CHUNK_SIZE, MAX_LIST_SIZE, MAX_PACK_SIZE
from akosha_snap.manifest import (
    ChunkList,
    FrameLocation,
    ListedFile,
    decode_chunk_list,
    decode_format,
    decode_manifest,
    encode_chunk_list,
    encode_manifest,
)
from akosha_snap.manifest.ids import bare_name, is_file_name, make_upload_id, system_id_from_hostname, upload_time

names = st.text(min_size=1, max_size=60).filter(is_file_name)
hashes = st.binary(min_size=32, max_size=32)
times = st.datetimes(dt.datetime(1990, 1, 1), dt.datetime(2900, 1, 1), timezones=st.just(dt.UTC))


@st.composite
def chunk_list_locations(draw) -> list[FrameLocation]:
    """A chunk list and those it needs: all but the last are a base of a later one, all within the limits."""
    count = draw(st.integers(1, 4))
    bases: list[list[int]] = [draw(st.lists(st.integers(0, i - 1), max_size=3)) if i else [] for i in range(count)]
    for i in range(count - 1):
        if not any(i in later for later in bases[i + 1 :]):
            bases[draw(st.integers(i + 1, count - 1))].append(i)
    return [draw(locations(based)) for based in bases]


def locations(bases: list[int]) -> st.SearchStrategy[FrameLocation]:
    around = st.integers(0, (MAX_PACK_SIZE - MAX_LIST_SIZE) // 2)
    sizes = st.integers(0, MAX_LIST_SIZE).flatmap(lambda raw: st.tuples(st.integers(0, raw), st.just(raw)))
    return st.builds(
        lambda name, pack, before, size, after: FrameLocation(
            name.hex(), pack.hex(), before + size[0] + after, before, *size, 1, bases
        ),
        hashes, hashes, around, sizes, around,
    )  # fmt: skip


described = st.builds(Described, names, st.integers(0, 2**50), hashes, st.integers(0, 2**20))


@profile(100)
@given(st.lists(described, max_size=5, unique_by=lambda file: file.name), chunk_list_locations())
def test_a_manifest_comes_back_and_its_checksum_follows_the_rule(files, chunk_list):
    manifest = make_manifest("u", files, *chunk_list)
    data = encode_manifest(manifest)
    back = decode_manifest(data, "m")
    assert msgspec.structs.replace(back, checksum=None) == manifest
    unsigned = json.dumps(json.loads(data) | {"checksum": None}, sort_keys=True, separators=(",", ":"),
                          ensure_ascii=False)  # fmt: skip
    assert back.checksum == hashlib.sha256(unsigned.encode()).hexdigest()


@st.composite
def chunk_lists(draw) -> ChunkList:
    """Possible lists: packs in order, frames one after another in each, bases always earlier."""
    packs = draw(st.integers(1, 4))
    count = draw(st.integers(0, 12))
    pack = sorted(draw(st.lists(st.integers(0, packs - 1), min_size=count, max_size=count)))
    stored = draw(st.lists(st.integers(1, 1000), min_size=count, max_size=count))
    raw = [draw(st.integers(size, MAX_CHUNK_SIZE)) for size in stored]
    offsets = [sum(stored[j] for j in range(i) if pack[j] == pack[i]) for i in range(count)]
    bases = [draw(st.lists(st.integers(0, i - 1), max_size=3)) if i else [] for i in range(count)]
    sequences = draw(st.lists(st.lists(st.integers(0, count - 1), max_size=9), max_size=3)) if count else [[]]
    return ChunkList(
        format=1,
        packs=[draw(hashes) for _ in range(packs - 1)] + [b""],
        pack_sizes=[20_000] * (packs - 1) + [0],
        hashes=b"".join(draw(hashes) for _ in range(count)),
        raw_sizes=raw,
        pack=pack,
        offsets=offsets,
        stored_sizes=stored,
        codecs=[1] * count,
        bases=bases,
        files=[
            ListedFile(draw(names), sum(raw[i] for i in frames), draw(hashes), frames) for frames in sequences
        ],
    )  # fmt: skip


@profile(100)
@given(chunk_lists())
def test_a_chunk_list_comes_back(value):
    assert in_lists(decode_chunk_list(encode_chunk_list(value), "l")) == value


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=10),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=10), inner, max_size=3),
    max_leaves=10,
)


@profile(200)
@given(
    st.binary(max_size=300)
    | json_values.map(lambda value: json.dumps(value).encode())
    | json_values.map(lambda value: json.dumps({"format": 1, "metadata": {"akosha_snap": value}}).encode())
    | st.binary(max_size=100).map(lambda rest: b"\x82\xa6format\x01" + rest)
)
def test_arbitrary_bytes_raise_nothing_but_our_errors(data):
    for decode in (decode_manifest, decode_chunk_list, decode_format):
        with contextlib.suppress(DamageError, NewerFormatError):
            decode(data, "it")


@profile(200)
@given(st.text(max_size=300).filter(is_file_name))
def test_every_file_name_has_a_bare_name_that_akosha_accepts(name):
    check_akosha_name(bare_name(name))
    assert bare_name(name) == bare_name(name)


@profile(200)
@given(st.text(max_size=150))
def test_a_hostname_gives_a_valid_system_id_or_a_clear_error(hostname):
    with contextlib.suppress(ConfigError):
        assert is_system_id(system_id_from_hostname(hostname))


@profile(200)
@given(st.lists(st.tuples(times, hashes), min_size=2, max_size=10))
def test_each_push_is_newer_than_the_one_before_whatever_the_clock_does(pushes):
    newest = None
    for moment, root in pushes:
        made = make_upload_id(root, moment, newest)
        assert newest is None or made > newest
        assert upload_time(made) >= moment.replace(microsecond=0)
        newest = made
