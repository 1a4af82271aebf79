"""One system's snapshots on a store: find them, read their manifests and chunk lists."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from typing import Self

from akosha_snap.errors import DamageError, NothingThereError, ObjectNotFound
from akosha_snap.frames import decode_chunk
from akosha_snap.manifest import ChunkList, FrameLocation, Manifest, decode_chunk_list, decode_format, decode_manifest
from akosha_snap.manifest.codec import MAX_MANIFEST_SIZE
from akosha_snap.manifest.ids import bare_name, check_system_id, check_upload_id, is_upload_id
from akosha_snap.manifest.keys import (
    SYSTEMS_PREFIX,
    format_key,
    full_file_key,
    manifest_key,
    pack_id_of,
    pack_key,
    packs_prefix,
    system_marker,
    upload_key,
    upload_marker,
)
from akosha_snap.stores import CountingStore, DeadlineStore, RetryingStore, Store, list_all

__all__ = ["LATEST", "ListDamage", "System", "check_chunk_list"]


class ListDamage(DamageError):
    """A chunk list cannot be read; `key` is the pack that is missing or damaged."""

    def __init__(self, message: str, key: str) -> None:
        super().__init__(message)
        self.key = key


LATEST = "latest"
"""Stands for the newest snapshot wherever an upload id is asked for."""

_PARALLEL = 8

_WHOLE_PACK, _AT_HAND = 1024 * 1024, 8 * 1024 * 1024
"""Bytes of a pack that is better read whole than twice in parts, and of all that are kept for that."""


class System:
    """A store seen from one system. Every request is retried as it deserves, and counted."""

    def __init__(self, store: Store, system_id: str) -> None:
        self.id = check_system_id(system_id)
        self.meter = CountingStore(DeadlineStore(store))
        self.store = RetryingStore(self.meter)
        self.at_hand: dict[bytes, bytes] = {}
        """Packs that were read whole, by id: see `chunk_list`."""

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        """Threads that still wait to try again end: nobody needs what they would bring."""
        self.store.abort()

    @property
    def name(self) -> str:
        """For messages: which system on which store."""
        return f"system {self.id!r} in {self.store.url}"

    def check_format(self) -> bool:
        """Whether the system has a format.json. Raises NewerFormatError, DamageError."""
        key = format_key(self.id)
        try:
            data = self.store.get(key, length=MAX_MANIFEST_SIZE)
        except ObjectNotFound:
            return False
        decode_format(data, key)
        return True

    def refuse_newer(self) -> list[str]:
        """For readers: raises NewerFormatError; a damaged format.json is but a warning, manifests say the same."""
        try:
            self.check_format()
        except DamageError as error:
            return [str(error)]
        return []

    def uploads(self) -> list[str]:
        """The upload ids of every committed snapshot, newest first."""
        return sorted(self._manifest_sizes(), reverse=True)

    def is_newest(self, upload_id: str, manifest_size: int) -> bool:
        """Whether this snapshot is there, its manifest of this size in bytes, and none newer. One request."""
        sizes = self._manifest_sizes(upload_marker(self.id, upload_id))
        return max(sizes, default="") == upload_id and sizes[upload_id] == manifest_size

    def _manifest_sizes(self, after: str = "") -> dict[str, int]:
        """Upload id and size in bytes of each manifest, of those whose key comes `after` another."""
        listed = list_all(self.store, system_marker(self.id), after=after)
        found = ((upload_key(info.key), info.size) for info in listed)
        return {named[1]: size for named, size in found if named and is_upload_id(named[1])}

    def stored_packs(self) -> dict[bytes, int]:
        """Id and size in bytes of each pack the store lists."""
        found = ((pack_id_of(info.key), info.size) for info in list_all(self.store, packs_prefix(self.id)))
        return {pack_id: size for pack_id, size in found if pack_id}

    def resolve(self, upload_id: str) -> str:
        """The upload id itself, or the newest one for `latest`. Raises NothingThereError."""
        if upload_id != LATEST:
            return check_upload_id(upload_id)
        if not (uploads := self.uploads()):
            raise NothingThereError(f"no snapshot of {self.name}", hint=self._where_else())
        return uploads[0]

    def manifest(self, upload_id: str) -> Manifest:
        """Read one manifest. Raises NothingThereError, NewerFormatError, DamageError."""
        return self.sized_manifest(upload_id)[0]

    def sized_manifest(self, upload_id: str) -> tuple[Manifest, int]:
        """One manifest and its size on the store, in bytes."""
        key = manifest_key(self.id, upload_id)
        try:
            data = self.store.get(key, length=MAX_MANIFEST_SIZE)
        except ObjectNotFound:
            raise NothingThereError(
                f"no snapshot {upload_id} of {self.name}", hint="run `akosha-snap list` for those that exist"
            ) from None
        manifest = decode_manifest(data, key)
        self._check_place(manifest, upload_id, key)
        return manifest, len(data)

    def _check_place(self, manifest: Manifest, upload_id: str, key: str) -> None:
        """A manifest names its own place; one that was swapped for another names the other's."""
        info = manifest.snapshot
        uris = [full_file_key(self.id, upload_id, bare_name(file.name)) for file in info.files]
        if info.root[:8] != upload_id[-8:] or uris != [file.full_file.uri for file in info.files]:
            raise DamageError(f"{key} is the manifest of another snapshot")

    def manifests(self, upload_ids: list[str]) -> list[tuple[Manifest, int] | Exception]:
        """Many manifests at once, in the order asked for; what could not be read comes as its error."""

        def read(upload_id: str) -> tuple[Manifest, int] | Exception:
            try:
                return self.sized_manifest(upload_id)
            except (DamageError, NothingThereError) as error:
                return error

        with ThreadPoolExecutor(_PARALLEL) as pool:
            return list(pool.map(read, upload_ids))

    def chunk_list(self, manifest: Manifest, *, with_packs: bool = False) -> ChunkList:
        """The chunk list a manifest points to. Raises DamageError where any of it is missing or wrong.

        With `with_packs` the small packs among those it is read from are read whole, for whoever
        wants their other frames next: they are `at_hand` then, up to 8 MiB of them.
        """
        return check_chunk_list(self.raw_chunk_list(manifest, with_packs=with_packs), manifest)

    def raw_chunk_list(self, manifest: Manifest, *, with_packs: bool = False) -> bytes:
        """The bytes of a manifest's chunk list, hash checked. Raises ListDamage."""
        frames = manifest.snapshot.chunk_list
        if with_packs:
            self._read_whole(frames)
        with ThreadPoolExecutor(_PARALLEL) as pool:
            stored = list(pool.map(self._stored_list, frames))
        last_use = {base: i for i, frame in enumerate(frames) for base in frame.bases}
        decoded: dict[int, bytes] = {}
        for i, frame in enumerate(frames):
            decoded[i] = self._decode(frame, stored[i], [decoded[base] for base in frame.bases])
            for base in {base for base in frame.bases if last_use[base] == i}:
                del decoded[base]
        return decoded[len(frames) - 1]

    def _read_whole(self, frames: list[FrameLocation]) -> None:
        self.at_hand.clear()
        chosen: list[bytes] = []
        room = _AT_HAND
        for frame in reversed(frames):  # the newest packs are the smallest and the most needed
            if frame.pack_size <= min(_WHOLE_PACK, room):
                chosen.append(bytes.fromhex(frame.pack))
                room -= frame.pack_size

        def read(pack: bytes) -> bytes:
            try:
                return self.store.get(pack_key(self.id, pack))
            except ObjectNotFound:
                return b""  # whoever wants something of it will say so

        with ThreadPoolExecutor(_PARALLEL) as pool:
            self.at_hand.update(zip(chosen, pool.map(read, chosen), strict=True))

    def read_pack(self, pack: bytes, start: int, length: int) -> bytes:
        """A part of a pack, fewer bytes where it ends sooner; no request where it is at hand. Raises ObjectNotFound."""
        if whole := self.at_hand.get(pack):
            return whole[start : start + length]
        return self.store.get(pack_key(self.id, pack), start=start, length=length)

    def _stored_list(self, frame: FrameLocation) -> bytes:
        key = pack_key(self.id, bytes.fromhex(frame.pack))
        try:
            stored = self.read_pack(bytes.fromhex(frame.pack), frame.offset, frame.stored_size)
        except ObjectNotFound:
            raise ListDamage(f"pack {key} is missing: it holds a chunk list", key) from None
        if len(stored) != frame.stored_size:
            raise ListDamage(f"pack {key} is cut short: it holds a chunk list", key)
        return stored

    def _decode(self, frame: FrameLocation, stored: bytes, bases: list[bytes]) -> bytes:
        key = pack_key(self.id, bytes.fromhex(frame.pack))
        try:
            return decode_chunk(bytes.fromhex(frame.hash), frame.codec, stored, frame.raw_size, bases)
        except DamageError as error:
            raise ListDamage(f"the chunk list in pack {key} cannot be read: {error.message}", key) from None

    def _where_else(self) -> str:
        """A hint that names other systems in the store, should the id be the mistake."""
        page = self.store.list_page(SYSTEMS_PREFIX)
        named = (upload_key(info.key) for info in page.objects)
        others = sorted({found[0] for found in named if found} - {self.id})
        if others:
            return f"the store has {', '.join(others[:5])}: choose one with --system-id"
        return "run `akosha-snap push` to make the first"


def check_chunk_list(raw: bytes, manifest: Manifest) -> ChunkList:
    """Parse a chunk list and compare it with its manifest. Raises DamageError, NewerFormatError."""
    where = f"the chunk list in pack {manifest.snapshot.chunk_list[-1].pack}"
    chunk_list = decode_chunk_list(raw, where)
    listed = [(file.name, file.size, file.blake3.hex(), len(file.frames)) for file in chunk_list.files]
    if listed != [(file.name, file.size, file.blake3, file.chunks) for file in manifest.snapshot.files]:
        raise DamageError(f"{where} names other files than its manifest")
    own = len(chunk_list.packs) - 1
    size = manifest.snapshot.chunk_list[-1].pack_size
    for i in range(len(chunk_list)):
        if chunk_list.pack[i] == own and chunk_list.offsets[i] + chunk_list.stored_sizes[i] > size:
            raise DamageError(f"{where} names a frame beyond the end of its pack")
    return chunk_list
