"""Steps of a data set: the files as they are at the end of a session, each kept as its changes since the step before.

Sixty steps of a file, or three of one of 10 GB, would fill a disk if each were whole.
"""

from __future__ import annotations

import dataclasses
import hashlib
import json
import os
import shutil
from collections.abc import Iterator, Sequence
from pathlib import Path

__all__ = ["Digests", "Step", "digests", "keep"]

PAGE = 65_536
"""Bytes compared at a time: the smaller, the less is kept of a file of which little has changed."""

_INDEX = "step.json"


@dataclasses.dataclass(frozen=True)
class Digests:
    """What a file holds: its size, its SHA-256, and a digest of each page."""

    size: int
    sha256: str
    pages: list[bytes]


@dataclasses.dataclass(frozen=True)
class _Kept:
    """One file of a step: all of it (`pages` is None), or the pages that differ from the step before."""

    content: Path
    size: int
    sha256: str
    pages: list[int] | None

    def write(self, path: Path) -> None:
        if self.pages is None:
            shutil.copyfile(self.content, path)
            return
        with self.content.open("rb") as source, path.open("r+b") as to:
            for page in self.pages:
                to.seek(page * PAGE)
                to.write(source.read(min(PAGE, self.size - page * PAGE)))
            to.truncate(self.size)


class Step:
    """The files of one step; `folders` has one folder for each series of the data set."""

    def __init__(self, folders: Sequence[Path]) -> None:
        self._files = {kept.content.name: kept for folder in folders for kept in _read(folder)}

    @property
    def names(self) -> list[str]:
        """The files' names, the databases' and their WALs'."""
        return sorted(self._files)

    @property
    def size(self) -> int:
        """Bytes of all files together."""
        return sum(kept.size for kept in self._files.values())

    @property
    def changed(self) -> int:
        """Bytes of the pages that differ from the step before; a file that is kept whole counts whole."""
        return sum(kept.content.stat().st_size for kept in self._files.values())

    def write(self, folder: Path) -> None:
        """Let the files in `folder`, which are those of the step before, become this step's, in place.

        The first step writes them whole; a file that the step does not have is removed.
        """
        for path in folder.iterdir():
            if path.name not in self._files:
                path.unlink()
        for name, kept in self._files.items():
            kept.write(folder / name)

    def holds(self, name: str, path: Path) -> bool:
        """Whether a restored file is this step's, byte for byte (by its SHA-256)."""
        if path.stat().st_size != self._files[name].size:
            return False
        with path.open("rb") as file:
            return hashlib.file_digest(file, "sha256").hexdigest() == self._files[name].sha256


def digests(path: Path) -> Digests:
    """Read a file once."""
    whole, pages, size = hashlib.sha256(), [], 0
    with path.open("rb") as file:
        while page := file.read(PAGE):
            whole.update(page)
            pages.append(hashlib.blake2b(page, digest_size=16).digest())
            size += len(page)
    return Digests(size, whole.hexdigest(), pages)


def keep(now: Path, before: dict[str, Digests], folder: Path) -> dict[str, Digests]:
    """Keep the files in `now` as the step `folder`, all at once: an interrupted run leaves no half of a step.

    `before` is what the step before held (a file that it does not name is kept whole); returns what this one holds.
    """
    new = folder.with_name(f"{folder.name}.new")
    shutil.rmtree(new, ignore_errors=True)
    new.mkdir(parents=True)
    after, index = {}, {}
    for path in sorted(now.iterdir()):
        found = after[path.name] = digests(path)
        old = before.get(path.name)
        changed = None if old is None else list(_changed(old.pages, found.pages))
        index[path.name] = {"size": found.size, "sha256": found.sha256, "pages": changed}
        if changed is None:
            _copy(path, new / path.name, linked=not before)
        else:
            _extract(path, changed, new / path.name)
    (new / _INDEX).write_text(json.dumps(index), "utf-8")
    new.rename(folder)
    return after


def _read(folder: Path) -> Iterator[_Kept]:
    for name, kept in json.loads((folder / _INDEX).read_text("utf-8")).items():
        yield _Kept(folder / name, kept["size"], kept["sha256"], kept["pages"])


def _changed(old: list[bytes], new: list[bytes]) -> Iterator[int]:
    return (page for page, digest in enumerate(new) if page >= len(old) or digest != old[page])


def _extract(path: Path, pages: list[int], to: Path) -> None:
    with path.open("rb") as source, to.open("wb") as target:
        for page in pages:
            source.seek(page * PAGE)
            target.write(source.read(PAGE))


def _copy(path: Path, to: Path, *, linked: bool) -> None:
    """A first step is a base that never changes: a link to it is enough."""
    if linked:
        try:
            os.link(path, to)
        except OSError:
            pass
        else:
            return
    shutil.copyfile(path, to)
