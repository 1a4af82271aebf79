"""What was pushed comes back as it was, after any history of edits."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from helpers import SYSTEM, Bench, noise, profile, prose
from hypothesis import given
from hypothesis import strategies as st

from akosha_snap.manifest.keys import manifest_key
from akosha_snap.stores import DirectoryStore

Files = dict[str, bytes]


@contextmanager
def new_bench(*, on_disk: bool = False) -> Iterator[Bench]:
    with tempfile.TemporaryDirectory() as folder:
        yield Bench(Path(folder), DirectoryStore(Path(folder) / "store") if on_disk else None)


contents = st.binary(min_size=1, max_size=500) | st.builds(
    lambda kind, size, seed: kind(size, seed),
    st.sampled_from([noise, prose, lambda size, _: bytes(size)]),
    st.integers(1, 400_000),
    st.integers(0, 5),
)
snapshots = st.dictionaries(st.sampled_from(["a", "b.bin", "c d"]), contents, min_size=1)


@st.composite
def edits(draw, data: bytes) -> bytes:
    """`data` after one edit of the kinds a database goes through; never empty."""
    start, end = sorted((draw(st.integers(0, len(data))), draw(st.integers(0, len(data)))))
    piece = data[start:end]
    match draw(st.sampled_from(["insert", "delete", "overwrite", "move", "duplicate", "truncate"])):
        case "insert":
            edited = data[:start] + draw(contents) + data[start:]
        case "delete":
            edited = data[:start] + data[end:]
        case "overwrite":
            edited = data[:start] + noise(len(piece), draw(st.integers(0, 5))) + data[end:]
        case "move":
            edited = piece + data[:start] + data[end:]
        case "duplicate":
            edited = (data + piece)[:1_000_000]
        case _:
            edited = data[:start]
    return edited or b"\0"


@st.composite
def histories(draw) -> list[Files]:
    """Snapshot after snapshot: files edited, added and dropped."""
    history = [draw(snapshots)]
    for _ in range(draw(st.integers(1, 4))):
        files = dict(history[-1])
        name = draw(st.sampled_from(sorted(files)))
        match draw(st.sampled_from(["edit", "edit", "edit", "add", "drop", "keep"])):
            case "edit":
                files[name] = draw(edits(files[name]))
            case "add":
                files["added"] = draw(contents)
            case "drop" if len(files) > 1:
                del files[name]
        history.append(files)
    return history


@profile(30)
@given(snapshots, st.booleans())
def test_arbitrary_bytes_come_back(files, on_disk):
    with new_bench(on_disk=on_disk) as bench:
        bench.push(files)
        assert bench.restored() == files


@profile(40)
@given(histories())
def test_every_snapshot_of_a_history_is_what_was_pushed(history):
    with new_bench() as bench:
        kept: dict[str, Files] = {}
        before: Files | None = None
        for files in history:
            result = bench.push(files)
            assert result.unchanged == (files == before)
            kept[result.upload_id] = before = files
        assert bench.uploads() == sorted(kept, reverse=True)
        for upload_id, files in kept.items():
            assert bench.restored(upload_id) == files
        result = bench.verify(level="data")
        assert result.ok, result.problems


@profile(20)
@given(snapshots, snapshots)
def test_a_dry_run_stores_nothing_and_foretells_the_push(first, second):
    with new_bench() as bench:
        bench.push(first)
        before = bench.objects()
        dry = bench.push(second, dry_run=True)
        assert bench.objects() == before
        real = bench.push(second)
        assert (dry.files, dry.unchanged) == (real.files, real.unchanged)


@profile(20)
@given(snapshots)
def test_pushing_the_same_under_other_names_stores_no_chunk_twice(files):
    with new_bench() as bench:
        bench.push(files)
        renamed = {f"{name}.renamed": data for name, data in files.items()}
        result = bench.push(renamed)
        assert sum(file.chunks_new for file in result.files) == 0
        assert bench.restored() == renamed
        overhead = len(bench.store.get(manifest_key(SYSTEM, result.upload_id)))
        assert result.bytes_transferred < overhead + 2000


@profile(20)
@given(st.data())
def test_one_file_of_a_snapshot_comes_back_alone(data):
    files = data.draw(snapshots)
    name = data.draw(st.sampled_from(sorted(files)))
    with new_bench() as bench:
        bench.push(files)
        assert bench.restored(file=name) == {name: files[name]}
