"""What is particular to a store in a folder: modes, crashes, two processes, the file system's errors."""

from __future__ import annotations

import contextlib
import errno
import os
import stat
import subprocess
import sys
import textwrap
import threading
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import BinaryIO, NoReturn

import filelock
import pytest

from akosha_snap import atomic
from akosha_snap.errors import BusyError, ObjectExists, ObjectNotFound, StoreError, StoreNotFound, TransientStoreError
from akosha_snap.stores import DirectoryStore, directory, list_all, put_file
from akosha_snap.stores.directory_errors import translate

posix = pytest.mark.skipif(os.name == "nt", reason="POSIX only")


@pytest.fixture
def root(tmp_path) -> Path:
    return tmp_path / "drive" / "store"


@pytest.fixture
def store(root) -> DirectoryStore:
    return DirectoryStore(root)


def temporary_names(root: Path) -> list[str]:
    return [path.name for path in root.rglob(".tmp-*")]


def python(code: str, *arguments: object) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-c", textwrap.dedent(code), *map(str, arguments)], stdout=subprocess.PIPE, text=True
    )


@pytest.mark.parametrize(
    "read", [lambda s: s.get("a"), lambda s: s.head("a"), lambda s: s.list_page(""), lambda s: s.get("m/")]
)
def test_reading_a_store_that_is_not_there(store, root, read):
    with pytest.raises(StoreNotFound, match="no store at") as caught:
        read(store)
    assert str(root) in caught.value.message
    assert "mounted" in caught.value.hint
    assert not root.exists()


@posix
def test_memories_are_private(store, root, tmp_path):
    umask = os.umask(0)
    try:
        store.put("packs/ab/abcd", b"x")
        store.put("systems/mac/", b"")
        big = tmp_path / "big"
        big.write_bytes(b"y")
        upload = store.start_multipart("big")
        store.finish_multipart("big", upload, [store.put_part("big", upload, 1, b"y")])
    finally:
        os.umask(umask)
    for path in [root, *root.rglob("*")]:
        assert path.stat().st_mode & 0o777 == (0o700 if path.is_dir() else 0o600), path


def test_the_url_is_one(root):
    assert repr(DirectoryStore(root)) == f"DirectoryStore({str(root)!r})"
    assert DirectoryStore(root.with_name("my store")).url.endswith("/drive/my%20store")


def test_a_relative_path_stays_where_it_was(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    store = DirectoryStore(Path("store"))
    (tmp_path / "elsewhere").mkdir()
    monkeypatch.chdir(tmp_path / "elsewhere")
    store.put("a", b"x")
    assert (tmp_path / "store" / "a").read_bytes() == b"x"


def test_a_failed_put_leaves_the_old_object_and_nothing_else(store, root, monkeypatch):
    store.put("a", b"old")

    def fail(descriptor: int) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(os, "fsync", fail)
    with pytest.raises(StoreError, match="no space left") as caught:
        store.put("a", b"new")
    assert str(root / "a") in caught.value.message
    assert "free some space" in caught.value.hint
    assert store.get("a") == b"old"
    assert temporary_names(root) == []


@posix
def test_a_full_drive(tmp_path):
    drive = tmp_path / "drive"
    drive.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", "size=256k", "tmpfs", str(drive)]
    try:
        mounted = subprocess.run(mount, capture_output=True, check=False).returncode == 0
    except FileNotFoundError:
        mounted = False
    if not mounted:
        pytest.skip("may not mount a small tmpfs here")
    try:
        store = DirectoryStore(drive / "store")
        store.put("small", b"x" * 1000)
        with pytest.raises(StoreError, match="no space left") as caught:
            store.put("large", bytes(1024 * 1024))
        assert not isinstance(caught.value, TransientStoreError)
        upload = store.start_multipart("parts")
        with pytest.raises(StoreError, match="no space left"):
            store.put_part("parts", upload, 1, bytes(1024 * 1024))
        store.abort_multipart("parts", upload)
        assert [info.key for info in list_all(store, "")] == ["small"]
        assert temporary_names(drive) == []
    finally:
        subprocess.run(["umount", str(drive)], check=True)


@posix
def test_a_file_over_the_limit(root):
    with python(
        """
        import resource, sys
        from pathlib import Path
        from akosha_snap.stores import DirectoryStore
        _, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
        resource.setrlimit(resource.RLIMIT_FSIZE, (4096, hard))
        try:
            DirectoryStore(Path(sys.argv[1])).put("a", bytes(100_000))
        except Exception as error:
            print(type(error).__name__, error)
        resource.setrlimit(resource.RLIMIT_FSIZE, (hard, hard))  # coverage writes its file last
        """,
        root,
    ) as process:
        printed, _ = process.communicate(timeout=30)
    assert printed.startswith("StoreError cannot write")
    assert "too large" in printed
    assert temporary_names(root) == []


def test_a_file_where_the_store_should_be(tmp_path):
    (tmp_path / "file").write_bytes(b"x")
    for store in [DirectoryStore(tmp_path / "file"), DirectoryStore(tmp_path / "file" / "below")]:
        for act in [lambda s: s.put("a", b""), lambda s: s.put("m/", b""), lambda s: s.start_multipart("a")]:
            with pytest.raises(StoreError, match="not a directory") as caught:
                act(store)
            assert "a file stands where" in caught.value.hint
    store = DirectoryStore(tmp_path / "file")
    with pytest.raises(StoreError, match="not a directory"):
        store.get("a")
    with pytest.raises(StoreError, match="not a directory"):
        store.list_page("")


def test_objects_and_folders_in_each_others_way(store):
    store.put("a", b"x")
    store.put("folder/b", b"x")
    with pytest.raises(StoreError, match="not a directory"):
        store.put("a/b", b"x")
    with pytest.raises(StoreError, match="is a directory"):
        store.put("folder", b"x")
    with pytest.raises(ObjectExists):
        store.put("folder", b"x", if_absent=True)
    with pytest.raises(ValueError, match="cannot hold bytes"):
        store.put("marker/", b"x")
    store.delete("folder")  # as on S3, there is no such object
    assert store.get("folder/b") == b"x"


def test_a_name_too_long(store):
    with pytest.raises(StoreError, match="name too long") as caught:
        store.put("x" * 300, b"")
    assert "shorter" in caught.value.hint
    with pytest.raises(StoreError, match="name too long"):
        store.get("x" * 300)


@posix
@pytest.mark.skipif(not Path("/proc/1").exists(), reason="needs /proc, where nobody may write")
def test_a_folder_where_nobody_may_write():
    with pytest.raises(StoreError, match="cannot write /proc/akosha-store") as caught:
        DirectoryStore(Path("/proc/akosha-store")).put("a", b"x")
    assert caught.value.exit_code == 1
    assert caught.value.hint


@posix
@pytest.mark.skipif(os.name == "nt" or os.geteuid() == 0, reason="root may read and write everything")
def test_a_folder_without_permission(store, root):
    store.put("a", b"x")
    root.chmod(0)
    try:
        for act in [lambda: store.get("a"), lambda: store.list_page(""), lambda: store.put("b", b"")]:
            with pytest.raises(StoreError, match="permission denied"):
                act()
    finally:
        root.chmod(0o700)


@pytest.mark.parametrize("number", [errno.EACCES, errno.EROFS, errno.EDQUOT, errno.EIO, errno.EBADF])
def test_errors_name_the_path_and_the_next_step(number):
    error = translate(OSError(number, "text"), "read", Path("/store/a"))
    assert type(error) is StoreError
    assert error.message.startswith("cannot read /store/a: ")
    assert error.hint


def test_a_stale_network_file_is_worth_a_retry():
    assert isinstance(translate(OSError(errno.ESTALE, ""), "read", Path("/a")), TransientStoreError)


def test_an_error_without_a_number():
    assert translate(OSError("odd"), "read", Path("/a")).message == "cannot read /a: odd"


@posix
def test_a_crash_before_the_name_is_given_leaves_only_a_temporary_file(store, root):
    store.put("packs/whole", b"x")
    with python(
        """
        import os, sys
        from pathlib import Path
        from akosha_snap import atomic
        from akosha_snap.stores import DirectoryStore
        os.link = os.replace = Path.replace = lambda *a, **k: os._exit(9)
        DirectoryStore(Path(sys.argv[1])).put("packs/torn", b"y" * 100_000, if_absent=sys.argv[2] == "1")
        """,
        root,
        1,
    ) as process:
        assert process.wait(timeout=30) == 9
    assert len(temporary_names(root)) == 1
    assert [info.key for info in list_all(store, "")] == ["packs/whole"]
    with pytest.raises(ObjectNotFound):
        store.get("packs/torn")
    store.put("packs/torn", b"z", if_absent=True)


@posix
def test_of_two_processes_one_creates(store, root):
    """Both race for the same hundred keys; each key has one winner, whose bytes it holds."""
    code = """
        import sys, time
        from pathlib import Path
        from akosha_snap.errors import ObjectExists
        from akosha_snap.stores import DirectoryStore
        store, me = DirectoryStore(Path(sys.argv[1])), sys.argv[2]
        time.sleep(max(0, float(sys.argv[3]) - time.time()))
        for n in range(100):
            try:
                store.put(f"race/{n}", me.encode() * 5000, if_absent=True)
                print(n)
            except ObjectExists:
                pass
        """
    start = time.time() + 1
    with python(code, root, "a", start) as first, python(code, root, "b", start) as second:
        won = {"a": first.communicate(timeout=60)[0].split(), "b": second.communicate(timeout=60)[0].split()}
    assert first.returncode == second.returncode == 0
    assert sorted(map(int, won["a"] + won["b"])) == list(range(100))
    for me, numbers in won.items():
        assert all(store.get(f"race/{n}") == me.encode() * 5000 for n in numbers)
    assert temporary_names(root) == []


def test_new_folders_are_made_durable_before_use(store, root, monkeypatch):
    synced: list[Path] = []
    monkeypatch.setattr("akosha_snap.stores.directory.fsync_directory", synced.append)
    store.put("packs/ab/abcd", b"x")
    assert synced == [root.parent.parent, root.parent, root, root / "packs"]


def test_a_folder_made_by_another_at_the_same_moment(store, root, monkeypatch):
    root.mkdir(parents=True)
    real = Path.mkdir

    def beaten(path: Path, mode: int = 0o777) -> None:
        real(path, mode)
        raise FileExistsError

    monkeypatch.setattr(Path, "mkdir", beaten)
    store.put("packs/ab/abcd", b"x")
    store.put("systems/", b"")
    assert store.get("packs/ab/abcd") == b"x"


def test_foreign_files_do_not_disturb_listings(store, root):
    store.put("a", b"x")
    (root / ".tmp-lock").touch()
    (root / ".tmp-folder").mkdir()
    (root / ".tmp-folder" / "inside").touch()
    if os.name != "nt":
        (root / "new\nline").touch()
        (root / "back\\slash").touch()
        (root / "dangling").symlink_to(root / "nowhere")
        (root / "loop").symlink_to(root)
        os.mkfifo(root / "fifo")
    assert [info.key for info in list_all(store, "")] == ["a"]


@posix
def test_what_is_no_regular_file_is_neither_read_nor_waited_for(store, root):
    store.put("a", b"x")
    os.mkfifo(root / "fifo")
    (root / "device").symlink_to("/dev/zero")
    for key in ["fifo", "device"]:
        for act in [lambda key=key: store.get(key), lambda key=key: store.head(key)]:
            with pytest.raises(StoreError, match=f"{key}: it is not a regular file") as caught:
                act()
            assert not isinstance(caught.value, ObjectNotFound | TransientStoreError)
            assert "move it away" in caught.value.hint


@posix
def test_a_file_that_becomes_a_fifo_before_it_is_opened(store, root, monkeypatch):
    store.put("a", b"x")
    os.mkfifo(root / "fifo")
    real = os.open
    monkeypatch.setattr(os, "open", lambda path, *rest: real(root / "fifo", *rest))
    with pytest.raises(StoreError, match="a: it is not a regular file"):
        store.get("a")


def test_a_start_no_file_can_have(store):
    store.put("a", b"0123456789")
    for start in [10, 2**63 - 1, 2**63, 10**30]:
        assert store.get("a", start=start) == b""
        assert store.get("a", start=start, length=10**30) == b""


def test_what_is_there_or_is_not_has_a_next_step(store):
    store.put("a", b"x")
    for act in [
        lambda: store.put("a", b"y", if_absent=True),
        lambda: store.get("b"),
        lambda: store.put_part("a", ".tmp-1", 1, b""),
    ]:
        with pytest.raises((ObjectExists, ObjectNotFound)) as caught:
            act()
        assert caught.value.hint


def test_a_file_is_closed_before_it_is_renamed(store, monkeypatch):
    """Windows renames no open file."""
    files: list[BinaryIO] = []

    @contextlib.contextmanager
    def temporary_file(directory):
        with atomic.temporary_file(directory) as (path, file):
            files.append(file)
            yield path, file

    def publish(*arguments, **options):
        assert [file.closed for file in files] == [True]
        atomic.publish(*arguments, **options)

    monkeypatch.setattr("akosha_snap.stores.directory.temporary_file", temporary_file)
    monkeypatch.setattr("akosha_snap.stores.directory.publish", publish)
    store.put("a", b"x", if_absent=True)
    assert store.get("a") == b"x"
    assert files[0].closed


def test_a_temporary_file_may_be_closed_and_is_removed(tmp_path):
    with atomic.temporary_file(tmp_path) as (path, file):
        file.write(b"x")
        file.close()
        assert path.read_bytes() == b"x"
    assert list(tmp_path.iterdir()) == []


@posix
@pytest.mark.parametrize("name", ["EINVAL", "ENOTSUP", "EOPNOTSUPP", "ENOSYS", "EBADF", "EACCES"])
def test_a_mount_that_cannot_fsync_a_folder(store, monkeypatch, name):
    real = os.fsync

    def fsync(descriptor: int) -> None:
        if stat.S_ISDIR(os.fstat(descriptor).st_mode):
            raise OSError(getattr(errno, name), name)
        real(descriptor)

    monkeypatch.setattr(os, "fsync", fsync)
    store.put("packs/a", b"x", if_absent=True)
    store.put("systems/", b"")
    assert store.get("packs/a") == b"x"


@posix
def test_a_folder_whose_fsync_fails_for_good_is_an_error(store, root, monkeypatch):
    root.mkdir(parents=True)
    monkeypatch.setattr(os, "fsync", fails(errno.EIO))
    with pytest.raises(OSError, match="EIO"):
        atomic.fsync_directory(root)
    monkeypatch.setattr(os, "fsync", fails(errno.EINVAL))
    with pytest.raises(StoreError, match="invalid argument"):  # of a file it is an error
        store.put("a", b"x")


def fails(number: int) -> Callable[..., NoReturn]:
    """A call of the system that always fails so."""

    def fail(*arguments: object, **options: object) -> NoReturn:
        raise OSError(number, errno.errorcode[number])

    return fail


@pytest.fixture
def no_links(monkeypatch) -> None:
    """A filesystem without hard links, as exFAT is."""
    monkeypatch.setattr(os, "link", fails(errno.EPERM))


def race_of_threads(store: DirectoryStore) -> int:
    """How many of 16 threads create the same key."""
    barrier = threading.Barrier(16)

    def create(number: int) -> bool:
        barrier.wait()
        try:
            store.put("k", b"%d" % number * 1000, if_absent=True)
        except ObjectExists:
            return False
        return True

    with ThreadPoolExecutor(16) as pool:
        return sum(pool.map(create, range(16)))


@posix
def test_without_hard_links_a_lock_decides_and_stays_unlisted(store, root, no_links):
    assert race_of_threads(store) == 1
    with pytest.raises(ObjectExists):
        store.put("k", b"again", if_absent=True)
    assert temporary_names(root) == [".tmp-lock"]
    assert (root / ".tmp-lock").stat().st_mode & 0o777 == 0o600
    assert [info.key for info in list_all(store, "")] == ["k"]


@posix
def test_a_lock_that_is_never_free(store, root, no_links, monkeypatch):
    monkeypatch.setattr(atomic, "_LOCK_TIMEOUT", 0.2)
    root.mkdir(parents=True)
    with filelock.FileLock(root / ".tmp-lock"), ThreadPoolExecutor(1) as pool, pytest.raises(BusyError) as caught:
        pool.submit(store.put, "k", b"x", if_absent=True).result(10)
    assert str(root / ".tmp-lock") in caught.value.message
    assert "remove that file" in caught.value.hint
    assert temporary_names(root) == [".tmp-lock"]
    store.put("k", b"x", if_absent=True)


NO_LOCKS = [
    NotImplementedError("no flock"),
    OSError(errno.ENOSYS, ""),
    OSError(errno.ENOTSUP, ""),
    OSError(errno.ENOLCK, ""),
]


@posix
@pytest.mark.parametrize("error", NO_LOCKS, ids=str)
def test_without_hard_links_and_locks_a_claim_decides(store, root, no_links, monkeypatch, error):
    def acquire(lock: filelock.FileLock) -> None:
        raise error

    monkeypatch.setattr(filelock.FileLock, "acquire", acquire)
    assert race_of_threads(store) == 1
    assert len(store.get("k")) >= 1000
    assert temporary_names(root) == []
    assert (root / "k").stat().st_mode & 0o777 == 0o600
    with monkeypatch.context() as patch:
        patch.setattr(Path, "replace", fails(errno.EIO))
        with pytest.raises(StoreError, match="cannot write"):
            store.put("other", b"x", if_absent=True)
    assert not (root / "other").exists()


@posix
def test_a_lock_that_fails_for_another_reason(store, no_links, monkeypatch):
    monkeypatch.setattr(filelock.FileLock, "acquire", fails(errno.EIO))
    with pytest.raises(StoreError, match="cannot write"):
        store.put("k", b"x", if_absent=True)


def test_parts_come_in_order(store):
    upload = store.start_multipart("k")
    with pytest.raises(ValueError, match="part 2 of k comes after part 0"):
        store.put_part("k", upload, 2, b"x")
    first = store.put_part("k", upload, 1, b"x")
    with pytest.raises(ValueError, match="are not those of the 1 parts"):
        store.finish_multipart("k", upload, [first, "part-2"])


def test_a_part_half_written_is_written_again(store, root):
    upload = store.start_multipart("k")
    first = store.put_part("k", upload, 1, b"one")
    with (root / upload).open("ab") as file:
        file.write(b"half of a part that failed, longer than the whole")
    second = store.put_part("k", upload, 2, b"two")
    store.finish_multipart("k", upload, [first, second])
    assert store.get("k") == b"onetwo"


def test_a_file_over_the_single_put(store, tmp_path, monkeypatch):
    monkeypatch.setattr("akosha_snap.stores.transfer.SINGLE_PUT", 10)
    path = tmp_path / "big"
    path.write_bytes(b"0123456789" * 2)
    assert put_file(store, "big", path) == 20
    assert store.get("big") == path.read_bytes()


def test_the_folder_of_a_deleted_object_may_be_gone_at_once(store, root, monkeypatch):
    """Two prunes drop the same upload: one has deleted the marker before the other is done with the manifest."""
    store.put("systems/a/b/manifest.json", b"{}")
    fsync = directory.fsync_directory

    def gone(folder: Path) -> None:
        folder.rmdir()
        fsync(folder)

    monkeypatch.setattr(directory, "fsync_directory", gone)
    store.delete("systems/a/b/manifest.json")
    store.delete("systems/a/b/manifest.json")
    assert not list((root / "systems/a").iterdir())
