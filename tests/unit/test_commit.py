"""Where pushes meet: the manifest is created once, and what a conditional create finds there decides."""

from __future__ import annotations

import pytest
from helpers import MIB, SYSTEM, InterceptingStore, Part, make_frame, noise, prose

from akosha_snap.errors import (
    AkoshaSnapError,
    BusyError,
    ConfigError,
    DamageError,
    NewerFormatError,
    TransientStoreError,
)
from akosha_snap.frames import MAX_DEPTH, PackBuilder
from akosha_snap.manifest import chunk_list, codec
from akosha_snap.manifest.keys import format_key, manifest_key, pack_key
from akosha_snap.snapshot import commit, storing, workspace
from akosha_snap.stores import Layer


class LostAnswer(Layer):
    """The first conditional create of a manifest succeeds, and its answer never comes."""

    lost = False

    def put(self, key: str, data: bytes, *, if_absent: bool = False) -> None:
        super().put(key, data, if_absent=if_absent)
        if key.endswith("manifest.json") and not self.lost:
            self.lost = True
            raise TransientStoreError("the connection was reset")


class TestCommit:
    """The manifest is created once; what a conditional create finds there decides."""

    def test_our_own_manifest_after_a_lost_answer_is_success(self, bench):
        result = bench.push({"a": b"1"}, store=LostAnswer(bench.store))
        assert bench.uploads() == [result.upload_id]
        assert bench.restored() == {"a": b"1"}

    def test_what_is_not_our_manifest_at_our_key_is_damage(self, bench):
        rival_id = bench.push({"a": b"rival"}, system_id="rival").upload_id
        rival = bench.store.get(manifest_key("rival", rival_id))

        def first(key: str, data: bytes, if_absent: bool) -> None:
            if key.endswith("manifest.json"):
                bench.store.put(key, rival)

        with pytest.raises(DamageError, match="manifest of another snapshot"):
            bench.push({"a": b"1"}, store=InterceptingStore(bench.store, first))

    def test_a_push_beside_the_first_may_have_written_the_format(self, bench):
        def format_first(key: str, data: bytes, if_absent: bool) -> None:
            if key == format_key(SYSTEM):
                bench.store.put(key, data)

        result = bench.push({"a": b"1"}, store=InterceptingStore(bench.store, format_first))
        assert format_key(SYSTEM) not in result.files_uploaded
        assert bench.restored() == {"a": b"1"}

    def test_a_newer_format_written_beside_us_stops_the_push(self, bench):
        def newer_first(key: str, data: bytes, if_absent: bool) -> None:
            if key == format_key(SYSTEM):
                bench.store.put(key, b'{"format":2}')

        with pytest.raises(NewerFormatError):
            bench.push({"a": b"1"}, store=InterceptingStore(bench.store, newer_first))

    def test_another_push_at_work_here_is_waited_for_and_then_busy(self, bench, monkeypatch):
        monkeypatch.setattr(workspace, "_LOCK_TIMEOUT", 0.05)
        nested: list[BaseException] = []

        def push_inside(key: str, data: bytes, if_absent: bool) -> None:
            if key.endswith("manifest.json"):
                with pytest.raises(BusyError, match="another push") as caught:
                    bench.push({"a": b"2"})
                nested.append(caught.value)

        bench.push({"a": b"1"}, store=InterceptingStore(bench.store, push_inside))
        assert [error.exit_code for error in nested] == [11]
        assert len(bench.uploads()) == 1

    def test_pushes_of_several_systems_share_a_store_and_nothing_else(self, bench):
        bench.push({"a": noise(MIB)})
        other = bench.push({"a": noise(MIB)}, system_id="other")
        assert other.files[0].chunks_new == other.files[0].chunks
        assert len(bench.uploads()) == 1


def test_a_pack_in_the_journal_with_too_deep_a_chain_is_not_taken_over_whole(bench):
    builder, chain = PackBuilder(), [prose(3000, "chain")]
    for i in range(MAX_DEPTH):
        chain.append(chain[-1][: 2000 + i] + noise(20, i) + chain[-1][2000 + i :])
    for i, chunk in enumerate(chain):
        builder.add(make_frame(Part(chunk, tuple(chain[max(0, i - 1) : i]))))
    pack_id, data = builder.finish()
    bench.push({"a": b"1"})
    bench.store.put(pack_key(SYSTEM, pack_id), data)
    (folder,) = bench.state.iterdir()
    (folder / "pending").write_text(f"{pack_id.hex()}\n")
    assert bench.push({"f": chain[-1]}).files[0].chunks_new == 1
    assert bench.push({"f": chain[-2]}).files[0].chunks_new == 1, "the journal is cleared by the push before"
    assert bench.verify(level="data").ok


class TestWhatAReaderWouldRefuse:
    """It is never committed, and the snapshots before it stay as they are."""

    @pytest.fixture(autouse=True)
    def nothing_harmed(self, bench):
        first = bench.push({"a": b"1"}).upload_id
        yield
        assert bench.uploads() == [first]
        assert bench.restored() == {"a": b"1"}
        assert bench.verify(level="data").ok

    def test_a_chunk_list_with_too_deep_a_chain(self, bench, monkeypatch):
        monkeypatch.setattr(chunk_list, "MAX_DEPTH", 0)
        with pytest.raises(AkoshaSnapError, match=r"could not be read back.*one after another"):
            bench.push({"f": b"2"})
        monkeypatch.undo()

    def test_a_chunk_list_that_is_too_large(self, bench, monkeypatch):
        monkeypatch.setattr(storing, "MAX_LIST_SIZE", 200)
        with pytest.raises(AkoshaSnapError, match="more than the 200 a reader accepts"):
            bench.push({"a": b"2"})

    def test_a_manifest_that_is_too_large(self, bench, monkeypatch):
        monkeypatch.setattr(commit, "MAX_MANIFEST_SIZE", 1000)
        with pytest.raises(ConfigError, match="more than the 1000 a reader accepts"):
            bench.push({"a": b"2"})

    def test_a_manifest_whose_chunk_list_is_too_deep(self, bench, monkeypatch):
        with monkeypatch.context() as patch:
            patch.setattr(codec, "MAX_DEPTH", 1)
            with pytest.raises(DamageError, match="the manifest of this snapshot needs 2 frames one after another"):
                bench.push({"a": b"2"})

    def test_the_lists_a_manifest_needs_are_kept_within_the_limit(self, bench, monkeypatch):
        """Where one more would exceed it, the next list does without a base."""
        bench.push({"a": b"2"})
        with monkeypatch.context() as patch:
            patch.setattr(storing, "MAX_POINTERS_SIZE", 500)
            patch.setattr(codec, "MAX_POINTERS_SIZE", 500)
            third = bench.push({"a": b"3"}).upload_id
        assert len(bench.manifest(third).snapshot.chunk_list) == 1
        for upload_id in bench.uploads()[:2]:
            bench.delete(manifest_key(SYSTEM, upload_id))
