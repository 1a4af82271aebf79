"""One system's snapshots on a store: find them, read their manifests and chunk lists."""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple, Self

from akosha_snap.errors import CredentialsError, DamageError, NothingThereError, ObjectNotFound
from akosha_snap.manifest import ChunkList, Manifest, decode_format, decode_manifest
from akosha_snap.manifest.codec import MAX_MANIFEST_SIZE
from akosha_snap.manifest.ids import bare_name, check_system_id, check_upload_id, is_upload_id
from akosha_snap.manifest.keys import (
    SYSTEMS_PREFIX,
    damage_name_of,
    format_key,
    full_file_key,
    manifest_key,
    own_prefix,
    pack_id_of,
    system_marker,
    upload_key,
    upload_marker,
)
from akosha_snap.snapshot.ahead import in_threads
from akosha_snap.snapshot.list_reader import ListReader, check_chunk_list
from akosha_snap.snapshot.pack_reader import PackReader
from akosha_snap.snapshot.twice import twice
from akosha_snap.stores import (
    CountingStore,
    DeadlineStore,
    GuardedStore,
    ObjectInfo,
    RetryingStore,
    Store,
    list_all,
    md5_of,
)

__all__ = ["LATEST", "Listing", "System"]


LATEST = "latest"
"""Stands for the newest snapshot wherever an upload id is asked for."""


class Listing(NamedTuple):
    """What the store lists of a system beside its snapshots: packs (id and size in bytes), names of damage records."""

    packs: dict[bytes, int]
    damage_records: list[str]


class System:
    """A store seen from one system. Every request is retried as it deserves, and counted."""

    def __init__(self, store: Store, system_id: str) -> None:
        self.id = check_system_id(system_id)
        self._guarded = GuardedStore(DeadlineStore(store))
        self.meter = CountingStore(self._guarded)
        self.store = RetryingStore(self.meter)
        self.packs = PackReader(self.store, self.id)
        self._lists = ListReader(self.packs)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        """Threads that still wait to try again end: nobody needs what they would bring."""
        self.store.abort()

    def guard_changes(self, guard: Callable[[str], None]) -> None:
        """Call `guard` with the key ahead of every attempt to put or delete an object; it may raise."""
        self._guarded.guard = guard

    @property
    def name(self) -> str:
        """For messages: which system on which store."""
        return f"system {self.id!r} in {self.store.url}"

    def check_format(self) -> bool:
        """Whether the system has a format.json. Raises NewerFormatError, DamageError."""
        key = format_key(self.id)
        try:
            twice(lambda: decode_format(self.store.get(key, length=MAX_MANIFEST_SIZE), key))
        except ObjectNotFound:
            return False
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
        return sorted(self._manifests(), reverse=True)

    def has(self, upload_id: str) -> bool:
        """Whether this snapshot is there now. One request."""
        try:
            self.store.head(manifest_key(self.id, upload_id))
        except ObjectNotFound:
            return False
        return True

    def is_newest(self, upload_id: str, manifest: bytes, size: int) -> bool:
        """Whether this snapshot is there, its manifest this one, of `size` bytes there, and none newer.

        Another store may have one of the same id: of the same content, pushed in the same second. So the manifest's
        tag is compared too. One request, and one more where that is not its MD5.
        """
        found = self._manifests(upload_marker(self.id, upload_id))
        if max(found, default="") != upload_id or found[upload_id].size != size:
            return False
        return found[upload_id].tag == md5_of(manifest) or self._has_manifest(upload_id, manifest)

    def _has_manifest(self, upload_id: str, manifest: bytes) -> bool:
        try:
            return self.manifest(upload_id) == decode_manifest(manifest, "the manifest of the last push")
        except (DamageError, NothingThereError):
            return False

    def _manifests(self, after: str = "") -> dict[str, ObjectInfo]:
        """What is listed of each manifest, by upload id, of those whose key comes `after` another."""
        listed = list_all(self.store, system_marker(self.id), after=after)
        found = ((upload_key(info.key), info) for info in listed)
        return {named[1]: info for named, info in found if named and is_upload_id(named[1])}

    def listing(self) -> Listing:
        """The packs and damage records there are, in one listing."""
        packs, records = {}, []
        for info in list_all(self.store, own_prefix(self.id)):
            if pack_id := pack_id_of(info.key):
                packs[pack_id] = info.size
            elif (name := damage_name_of(info.key)) and is_upload_id(name):
                records.append(name)
        return Listing(packs, records)

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

        def read() -> tuple[Manifest, int]:
            data = self.store.get(key, length=MAX_MANIFEST_SIZE)
            return decode_manifest(data, key), len(data)

        try:
            manifest, size = twice(read)
        except ObjectNotFound:
            raise NothingThereError(
                f"no snapshot {upload_id} of {self.name}", hint="run `akosha-snap list` for those that exist"
            ) from None
        self._check_place(manifest, upload_id, key)
        return manifest, size

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

        return list(in_threads(read, upload_ids))

    def chunk_list(self, manifest: Manifest, *, with_packs: bool = False) -> ChunkList:
        """The chunk list a manifest points to. Raises DamageError where any of it is missing or wrong.

        With `with_packs` the small packs among those it is read from are read whole, for whoever
        wants their other frames next.
        """
        return check_chunk_list(self.raw_chunk_list(manifest, with_packs=with_packs), manifest)

    def raw_chunk_list(self, manifest: Manifest, *, with_packs: bool = False) -> bytes:
        """The bytes of a manifest's chunk list, hash checked. Raises ListDamage."""
        frames = manifest.snapshot.chunk_list
        if with_packs:
            self.packs.take_whole({bytes.fromhex(frame.pack): frame.pack_size for frame in reversed(frames)})
        return self._lists.read(frames)

    def _where_else(self) -> str:
        """A hint that names other systems in the store, should the id be the mistake."""
        first = "run `akosha-snap push` to make the first"
        try:
            page = self.store.list_page(SYSTEMS_PREFIX)
        except CredentialsError:  # a key of this system alone, which sees no others
            return first
        named = (upload_key(info.key) for info in page.objects)
        others = sorted({found[0] for found in named if found} - {self.id})
        if others:
            return f"the store has {', '.join(others[:5])}: choose one with --system-id"
        return first
