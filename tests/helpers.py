"""What the tests of the core and of the snapshot operations share."""

from __future__ import annotations

import contextlib
import datetime as dt
import hashlib
import io
import os
import tempfile
import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import msgspec
import second_reader
from blake3 import blake3
from hypothesis import HealthCheck, settings

from akosha_snap import api
from akosha_snap.chunking import chunks
from akosha_snap.errors import ObjectNotFound
from akosha_snap.frames import Codec, Frame, PackBuilder, content_hash, encode
from akosha_snap.manifest import (
    ChunkList,
    Cost,
    Counts,
    FileEntry,
    FrameLocation,
    FullFile,
    ListedFile,
    Manifest,
    Metadata,
    SnapshotInfo,
    StoreFormat,
    decode_manifest,
    encode_chunk_list,
    encode_format,
    encode_manifest,
)
from akosha_snap.manifest.ids import bare_name, make_upload_id
from akosha_snap.manifest.keys import (
    format_key,
    full_file_key,
    manifest_key,
    pack_key,
    packs_prefix,
    prune_prefix,
    system_marker,
    upload_marker,
)
from akosha_snap.manifest.root import snapshot_root
from akosha_snap.snapshot.results import PruneResult, PushResult, RestoreResult, VerifyResult
from akosha_snap.stores import Layer, MemoryStore, Store, list_all

NOW = dt.datetime(2026, 11, 23, 7, 15, tzinfo=dt.UTC)
SYSTEM = "mac-local"
MIB = 1024 * 1024


def profile(examples: int) -> settings:
    """Bounded, without a deadline (a loaded machine must not fail a test), the same examples in every run."""
    return settings(
        max_examples=examples,
        deadline=None,
        derandomize=True,
        database=None,
        suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large],
    )


def noise(size: int, seed: object = 0) -> bytes:
    """`size` bytes that do not compress, the same in every run and version of Python."""
    return blake3(repr(seed).encode()).digest(length=size)


def prose(size: int, seed: object = 0) -> bytes:
    """`size` bytes that compress to about half."""
    return noise((size + 1) // 2, seed).hex().encode()[:size]


def flipped(data: bytes, bit: int) -> bytes:
    """`data` with one bit changed."""
    changed = bytearray(data)
    changed[bit // 8] ^= 1 << bit % 8
    return bytes(changed)


def edited(data: bytes, at: int, size: int = 100) -> bytes:
    """`data` with `size` new bytes at `at`."""
    return data[:at] + noise(size, ("edit", at)) + data[at:]


def chunk_hashes(data: bytes) -> list[bytes]:
    """The hashes of the chunks of a plain file."""
    return [content_hash(chunk.data) for chunk in chunks(io.BytesIO(data), len(data))]


class Clock:
    """A `now` that only moves when told."""

    def __init__(self, moment: dt.datetime = NOW) -> None:
        self.moment = moment

    def __call__(self) -> dt.datetime:
        return self.moment

    def advance(self, seconds: float) -> None:
        self.moment += dt.timedelta(seconds=seconds)


class Request(NamedTuple):
    """One request to a store, as RecordingStore saw it. Sizes in bytes."""

    method: str
    sent: int


class RecordingStore(Layer):
    """Remembers every request; our own count, to hold against the one results report."""

    def __init__(self, inner: Store) -> None:
        super().__init__(inner)
        self.seen: list[Request] = []

    def _request(self, method: str, call: Callable[[], Any], *, sent: int = 0) -> Any:
        self.seen.append(Request(method, sent))
        return call()

    @property
    def sent(self) -> int:
        return sum(request.sent for request in self.seen)


class InterceptingStore(Layer):
    """Calls `before(key, data, if_absent)` ahead of each put, which may raise or change the store."""

    def __init__(self, inner: Store, before: Callable[[str, bytes, bool], None]) -> None:
        super().__init__(inner)
        self._before = before

    def put(self, key: str, data: Any, *, if_absent: bool = False) -> None:
        self._before(key, bytes(data), if_absent)
        super().put(key, data, if_absent=if_absent)


class RunsAt(Layer):
    """Calls `other` once, ahead of the request of this number (from 0): two jobs interleaved, deterministically."""

    def __init__(self, inner: Store, number: int, other: Callable[[], object]) -> None:
        super().__init__(inner)
        self._left = number
        self._other = other
        self._lock = threading.Lock()
        self.ran = False

    def _request(self, method: str, call: Callable[[], Any], *, sent: int = 0) -> Any:
        with self._lock:  # requests of other threads wait meanwhile
            is_now, self._left = self._left == 0, self._left - 1
            if is_now:
                self.ran = True
                self._other()
        return call()


class Gone(Layer):
    """A store that still lists an object it has lost."""

    def __init__(self, inner: Store, key: str) -> None:
        super().__init__(inner)
        self._key = key

    def get(self, key: str, *, start: int = 0, length: int | None = None) -> bytes:
        if key == self._key:
            raise ObjectNotFound(f"no object {key}")
        return super().get(key, start=start, length=length)


def copied(store: MemoryStore) -> MemoryStore:
    """A store of its own with the same objects and markers."""
    copy = MemoryStore()
    for key, data in store._objects.items():  # no listing shows the markers
        copy.put(key, data)
    return copy


class PulledPlug(Exception):
    """The process ends here, as far as the test is concerned."""


def dies_after(puts: int) -> Callable[[str, bytes, bool], None]:
    """For InterceptingStore: lets `puts` puts through, and none after."""
    left = iter(range(puts))

    def before(key: str, data: bytes, if_absent: bool) -> None:
        if next(left, None) is None:
            raise PulledPlug(key)

    return before


def dies_at(wanted: Callable[[str], bool]) -> Callable[[str, bytes, bool], None]:
    """For InterceptingStore: refuses every key that is `wanted`."""

    def before(key: str, data: bytes, if_absent: bool) -> None:
        if wanted(key):
            raise PulledPlug(key)

    return before


class Bench:
    """One system with its files, its state folder, its clock and its store."""

    def __init__(self, folder: Path, store: Store | None = None) -> None:
        self.store = store if store is not None else MemoryStore()
        self.folder = folder
        self.live = folder / "live"
        self.live.mkdir()
        self.state = folder / "state"
        self.clock = Clock()
        self._restores = 0

    def write(self, files: Mapping[str, bytes]) -> list[Path]:
        """Make these the live files; long unchanged, so that no push waits for them to settle."""
        for old in self.live.iterdir():
            old.unlink()
        paths = [self.live / name for name in files]
        for path, data in zip(paths, files.values(), strict=True):
            path.write_bytes(data)
            os.utime(path, (1_700_000_000, 1_700_000_000))
        return paths

    def push(self, files: Mapping[str, bytes], *, store: Store | None = None, **options: Any) -> PushResult:
        """Push these files, with the state folder unless `state_dir` says otherwise."""
        options = {"state_dir": self.state, "now": self.clock, "system_id": SYSTEM, "stage_in_child": False} | options
        return api.push(self.write(files), store or self.store, **options)

    def prune(self, *, store: Store | None = None, **options: Any) -> PruneResult:
        """Prune; without a rule only the newest snapshot stays."""
        options = {"keep_last": 1, "now": self.clock, "system_id": SYSTEM} | options
        return api.prune(store or self.store, **options)

    def size(self) -> int:
        """Bytes of everything the store lists but the marks of prune."""
        return sum(len(data) for key, data in self.objects().items() if not key.startswith(prune_prefix(SYSTEM)))

    def new_folder(self) -> Path:
        """A folder to restore into that does not exist yet."""
        self._restores += 1
        return self.folder / f"restored-{self._restores}"

    def restore(self, upload_id: str = "latest", *, to: Path | None = None, **options: Any) -> RestoreResult:
        return api.restore(self.store, upload_id, system_id=SYSTEM, to=to or self.new_folder(), **options)

    def restored(self, upload_id: str = "latest", **options: Any) -> dict[str, bytes]:
        """The files of a snapshot, by name."""
        result = self.restore(upload_id, **options)
        return {file.name: Path(file.path).read_bytes() for file in result.files}

    def verify(self, upload_id: str = "all", **options: Any) -> VerifyResult:
        return api.verify(self.store, upload_id, system_id=SYSTEM, **options)

    def uploads(self) -> list[str]:
        """Upload ids, newest first."""
        return [snapshot.upload_id for snapshot in api.snapshots(self.store, system_id=SYSTEM).snapshots]

    def objects(self) -> dict[str, bytes]:
        """Everything in the store but the markers."""
        return {info.key: self.store.get(info.key) for info in list_all(self.store, "")}

    def packs(self) -> list[str]:
        """The keys of the packs in the store."""
        return sorted(info.key for info in list_all(self.store, packs_prefix(SYSTEM)))

    def manifest(self, upload_id: str) -> Manifest:
        key = manifest_key(SYSTEM, upload_id)
        return decode_manifest(self.store.get(key), key)

    def own_pack(self, upload_id: str) -> str:
        """The key of the pack that holds a snapshot's chunk list."""
        return pack_key(SYSTEM, bytes.fromhex(self.manifest(upload_id).snapshot.chunk_list[-1].pack))

    def delete(self, key: str) -> None:
        self.store.delete(key)  # type: ignore[attr-defined]


@contextlib.contextmanager
def on_disk(bench: Bench) -> Iterator[Path]:
    """A folder store with the bench's objects, for the second reader."""
    with tempfile.TemporaryDirectory(dir=bench.folder) as folder:
        for key, data in bench.objects().items():
            path = Path(folder) / key
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(data)
        yield Path(folder)


def as_second_reader(bench: Bench) -> list[dict[str, bytes]]:
    """The files of every snapshot in the store, oldest first, as the second reader has them: whole, or it raises."""
    with on_disk(bench) as store:
        return [second_reader.files(store, SYSTEM, name) for name in second_reader.snapshots(store, SYSTEM)]


class Part(NamedTuple):
    """A chunk to store in a hand-made pack, against these bases (raw chunks, each stored earlier)."""

    chunk: bytes
    bases: tuple[bytes, ...] = ()


def make_frame(part: Part) -> Frame:
    """The part as a frame; it must compress, so that its bases are kept."""
    codec, stored = encode(part.chunk, part.bases)
    assert codec == Codec.ZSTD or not part.bases
    return Frame(content_hash(part.chunk), len(part.chunk), codec, stored, tuple(map(content_hash, part.bases)))


class Described(NamedTuple):
    """A file as a manifest describes it: name, size in bytes, BLAKE3, number of chunks."""

    name: str
    size: int
    blake3: bytes
    chunks: int = 1


class Crafted(NamedTuple):
    """A snapshot made by hand: its upload id and the keys of its packs, in order."""

    upload_id: str
    packs: list[str]


def craft(
    bench: Bench,
    packs: Sequence[Sequence[Part]],
    files: Mapping[str, Sequence[bytes]],
    *,
    lie: Callable[[ChunkList], ChunkList] = lambda honest: honest,
    lie_in_files: Callable[[list[Described]], list[Described]] = lambda honest: honest,
    lie_in_manifest: Callable[[Manifest], Manifest] = lambda honest: honest,
) -> Crafted:
    """Store a snapshot of `files` (name -> chunks) whose frames lie in `packs`; the last pack gets the list.

    Written from the format's rules with no help of the push, so that it can hold what no push writes yet
    (bases) and what none ever would: a list that lies, a manifest of other files than the list's under the
    root and upload id of those (`lie_in_files`), or one changed at the very end (`lie_in_manifest`).
    """
    frames: dict[bytes, tuple[int, int, Frame]] = {}  # the first place wins where two packs hold one chunk
    ids: list[bytes] = []
    sizes: list[int] = []
    keys: list[str] = []
    for number, parts in enumerate(packs):
        builder = PackBuilder()
        for part in parts:
            frame = make_frame(part)
            frames.setdefault(frame.hash, (number, builder.add(frame), frame))
        if number < len(packs) - 1:
            pack_id, data = builder.finish()
            ids.append(pack_id)
            sizes.append(len(data))
            keys.append(pack_key(SYSTEM, pack_id))
            bench.store.put(keys[-1], data)
    chunk_list = lie(_chunk_list(frames, [*ids, b""], [*sizes, 0], files))
    raw = encode_chunk_list(chunk_list)
    codec, stored = encode(raw)
    offset = builder.add(Frame(content_hash(raw), len(raw), codec, stored), is_list=True)
    pack_id, data = builder.finish()
    keys.append(pack_key(SYSTEM, pack_id))
    bench.store.put(keys[-1], data)
    location = FrameLocation(
        content_hash(raw).hex(), pack_id.hex(), len(data), offset, len(stored), len(raw), int(codec)
    )
    listed = [Described(file.name, file.size, file.blake3, len(file.frames)) for file in chunk_list.files]
    listed = lie_in_files(listed)
    root = snapshot_root((file.name, file.size, file.blake3) for file in listed)
    upload_id = make_upload_id(root, bench.clock(), next(iter(bench.uploads()), None))
    manifest = lie_in_manifest(make_manifest(upload_id, listed, location))
    bench.store.put(format_key(SYSTEM), encode_format(StoreFormat()))
    bench.store.put(manifest_key(SYSTEM, upload_id), encode_manifest(manifest), if_absent=True)
    for marker in (system_marker(SYSTEM), upload_marker(SYSTEM, upload_id)):
        bench.store.put(marker, b"")
    return Crafted(upload_id, keys)


def _chunk_list(
    frames: Mapping[bytes, tuple[int, int, Frame]],
    packs: list[bytes],
    sizes: list[int],
    files: Mapping[str, Sequence[bytes]],
) -> ChunkList:
    order = {name: i for i, name in enumerate(frames)}
    places = list(frames.values())
    return ChunkList(
        format=1,
        packs=packs,
        pack_sizes=sizes,
        hashes=b"".join(order),
        raw_sizes=[frame.raw_size for _, _, frame in places],
        pack=[number for number, _, _ in places],
        offsets=[offset for _, offset, _ in places],
        stored_sizes=[len(frame.stored) for _, _, frame in places],
        codecs=[int(frame.codec) for _, _, frame in places],
        bases=[[order[base] for base in frame.bases] for _, _, frame in places],
        files=[
            ListedFile(
                name,
                sum(map(len, pieces)),
                blake3(b"".join(pieces)).digest(),
                [order[content_hash(piece)] for piece in pieces],
            )
            for name, pieces in files.items()
        ],
    )


def in_lists(value: ChunkList) -> ChunkList:
    """The same chunk list with plain lists as columns, which compare as one expects (an array is no list)."""
    names = ["pack_sizes", "raw_sizes", "pack", "offsets", "stored_sizes", "codecs"]
    columns = {name: list(getattr(value, name)) for name in names}
    files = [msgspec.structs.replace(file, frames=list(file.frames)) for file in value.files]
    return msgspec.structs.replace(value, bases=[list(bases) for bases in value.bases], files=files, **columns)


def make_manifest(upload_id: str, files: Sequence[Described], *chunk_list: FrameLocation) -> Manifest:
    """A manifest of plain files, field by field; its root is that of the files."""
    entries = [
        FileEntry(
            file.name,
            "plain",
            file.size,
            file.blake3.hex(),
            file.chunks,
            full_file(upload_id, file.name, file.size, file.blake3),
        )
        for file in files
    ]
    root = snapshot_root((file.name, file.size, file.blake3) for file in files)
    info = SnapshotInfo(1, root.hex(), None, "craft", entries, list(chunk_list), Counts(), Cost(0, 0, 0, 0))
    return Manifest(
        uploaded_at=NOW,
        conversation_count=0,
        total_size_bytes=sum(file.size for file in files),
        files=[bare_name(file.name) for file in files],
        metadata=Metadata(info),
    )


def full_file(upload_id: str, name: str, size: int, digest: bytes) -> FullFile:
    uri = full_file_key(SYSTEM, upload_id, bare_name(name))
    return FullFile(uri, size, digest.hex(), hashlib.sha256(digest).hexdigest())


def leftovers(folder: Path) -> Iterator[Path]:
    """Unfinished files anywhere below `folder`."""
    return folder.rglob(".tmp-*")
