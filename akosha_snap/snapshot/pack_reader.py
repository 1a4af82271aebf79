"""Read parts of packs; small ones whole where that saves requests."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from akosha_snap.errors import DamageError, ObjectNotFound
from akosha_snap.manifest.keys import pack_key
from akosha_snap.snapshot.ahead import in_threads
from akosha_snap.stores import Store

__all__ = ["PackReader"]

_WHOLE, _AT_HAND = 1024 * 1024, 8 * 1024 * 1024
"""Bytes of a pack that is better read whole than twice in parts, and of all that are kept for that."""


class PackReader:
    """The packs of one system."""

    def __init__(self, store: Store, system_id: str) -> None:
        self._store = store
        self._system_id = system_id
        self._at_hand: dict[bytes, bytes] = {}

    def key(self, pack: bytes) -> str:
        """The key of the pack with this id."""
        return pack_key(self._system_id, pack)

    def read(self, pack: bytes, start: int, length: int) -> bytes:
        """A part of a pack, fewer bytes where it ends sooner; no request where it is at hand. Raises ObjectNotFound."""
        whole = self._at_hand.get(pack)
        data = whole[start : start + length] if whole else self._store.get(self.key(pack), start=start, length=length)
        return data if len(data) == length else self.read_again(pack, start, length)

    def decoded(
        self, pack: bytes, start: int, stored: bytes | memoryview, decode: Callable[[bytes | memoryview], bytes]
    ) -> bytes:
        """What `decode` makes of `stored`, read from there; where that raises DamageError, of what is read again."""
        try:
            return decode(stored)
        except DamageError:
            return decode(self.read_again(pack, start, len(stored)))

    def read_again(self, pack: bytes, start: int, length: int) -> bytes:
        """The same from the store, whatever is at hand: for bytes that turned out wrong, perhaps on their way.

        Empty where the pack is gone meanwhile.
        """
        self._at_hand.pop(pack, None)
        try:
            return self._store.get(self.key(pack), start=start, length=length)
        except ObjectNotFound:
            return b""

    def take_whole(self, sizes: Mapping[bytes, int]) -> None:
        """Read the small ones of these packs whole, the first ones first; they replace those taken before."""
        self._at_hand.clear()
        chosen: list[bytes] = []
        room = _AT_HAND
        for pack, size in sizes.items():
            if size <= min(_WHOLE, room):
                chosen.append(pack)
                room -= size
        self._at_hand.update(zip(chosen, in_threads(self._whole, chosen), strict=True))

    def _whole(self, pack: bytes) -> bytes:
        try:
            return self._store.get(self.key(pack))
        except ObjectNotFound:
            return b""  # whoever wants something of it asks again, and says so
