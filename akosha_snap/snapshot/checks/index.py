"""Level `index`: each pack's footer is whole and says of every needed frame what the chunk lists say."""

from __future__ import annotations

from akosha_snap.errors import AkoshaSnapError, DamageError, ObjectNotFound
from akosha_snap.frames import Footer
from akosha_snap.manifest.keys import pack_key
from akosha_snap.snapshot.ahead import ahead
from akosha_snap.snapshot.checks.findings import Findings
from akosha_snap.snapshot.checks.needed import NeededFrame, PackFrames
from akosha_snap.snapshot.footers import fetch_footer
from akosha_snap.snapshot.system import System

__all__ = ["check_index"]

_PARALLEL = 8


def check_index(system: System, findings: Findings) -> None:
    """Fetch the footer of every pack that is there and compare."""
    sizes = findings.whole_packs(system.id)

    def fetch(pack_id: bytes) -> Footer | AkoshaSnapError:
        try:
            return fetch_footer(system, pack_id, sizes[pack_id])
        except (DamageError, ObjectNotFound) as error:
            return error

    for pack_id, footer in ahead(fetch, sizes, threads=_PARALLEL, limit=_PARALLEL):  # all at once take much memory
        key = pack_key(system.id, pack_id)
        if isinstance(footer, AkoshaSnapError):
            findings.problem("footer_damaged", key, findings.users(pack_id), footer.message)
        else:
            _compare(key, pack_id, footer, findings)


def _compare(key: str, pack_id: bytes, footer: Footer, findings: Findings) -> None:
    entries = {entry.offset: entry for entry in footer.entries()}
    for offset, frame in findings.frames.get(pack_id, PackFrames()).items():
        entry = entries.get(offset)
        wanted = (frame.hash, frame.stored_size, frame.raw_size, frame.codec, _base_hashes(frame, findings))
        if entry is None or wanted != (entry.hash, entry.stored_size, entry.raw_size, entry.codec, entry.bases):
            detail = f"chunk {frame.hash.hex()} at byte {offset} is not what the pack's footer names there"
            findings.problem("footer_disagrees", key, findings.users(pack_id), detail)
            return


def _base_hashes(frame: NeededFrame, findings: Findings) -> tuple[bytes, ...]:
    return tuple(findings.frames[pack_id][offset].hash for pack_id, offset in frame.bases)
