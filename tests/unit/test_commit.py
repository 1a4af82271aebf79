"""Where pushes meet: the manifest is created once, and what a conditional create finds there decides."""

from __future__ import annotations

import pytest
from helpers import MIB, SYSTEM, InterceptingStore, noise

from akosha_snap.errors import BusyError, DamageError, NewerFormatError, TransientStoreError
from akosha_snap.manifest.keys import format_key, manifest_key
from akosha_snap.snapshot import workspace
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
