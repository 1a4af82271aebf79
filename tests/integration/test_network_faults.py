"""A bad network in front of a real S3 server: both clients succeed after retries, or fail clearly and in time."""

from __future__ import annotations

import time
from collections.abc import Iterator

import pytest
from fault_proxy import ALWAYS, FaultProxy, Rule, running_fault_proxy
from helpers import SYSTEM, Bench, as_second_reader, edited, prose

from akosha_snap import api
from akosha_snap.errors import AkoshaSnapError
from akosha_snap.stores import DeadlineStore, S3Options, S3Store

pytestmark = pytest.mark.seaweed

FIRST = {"a.txt": prose(100_000, "a")}
SECOND = {"a.txt": edited(FIRST["a.txt"], 50_000)}
PASSING = ("429", "500", "503", "reset", "lost", "hang", "drip", "truncated")
SLOW = ("429", "500", "hang", "drip", "truncated")
"""Left to `nox -s stress`, for the time they take or because another is much the same."""

LASTING = {"400": 1, "403": 12, "404": 10, "clock": 1, "expired": 12}
"""Faults that no retry outlasts, with the exit code of each."""


@pytest.fixture
def proxy(seaweed) -> Iterator[FaultProxy]:
    with running_fault_proxy(seaweed.endpoint) as proxy:
        yield proxy


@pytest.fixture(params=["lean", "boto3"])
def bench(request, proxy, seaweed_bucket, tmp_path, monkeypatch) -> Bench:
    """Its store is behind the proxy: half a second of silence, one second a request, no waits between tries."""
    monkeypatch.setattr("akosha_snap.stores.retry.RetryingStore._wait", lambda *_: 0.0)
    options = S3Options(proxy.endpoint, connect_timeout=0.5, read_timeout=0.5, lean=request.param == "lean")
    return Bench(tmp_path, DeadlineStore(S3Store(seaweed_bucket, "base", options), 1.0))


def stored(bench: Bench, proxy: FaultProxy) -> list[dict[str, bytes]]:
    """Every snapshot, the oldest first, as the second reader has it: whole, or this raises."""
    proxy.rules = []
    return as_second_reader(bench)


@pytest.mark.parametrize("fault", [pytest.param(f, marks=pytest.mark.stress if f in SLOW else ()) for f in PASSING])
def test_what_passes_is_outlasted(bench: Bench, proxy: FaultProxy, fault: str):
    bench.push(FIRST)
    proxy.rules = [
        Rule(fault, "PUT", "/packs/"),
        Rule(fault, "PUT", "manifest.json"),
        Rule(fault, "GET", "list-type"),
    ]
    bench.push(SECOND)
    assert [rule.hit for rule in proxy.rules] == [1, 1, 1]
    assert stored(bench, proxy) == [FIRST, SECOND]
    proxy.rules = [Rule(fault, "GET", "manifest.json"), Rule(fault, "GET", "/packs/")]
    assert bench.restored() == SECOND
    assert [rule.hit for rule in proxy.rules] == [1, 1]


@pytest.mark.parametrize("fault", [*LASTING, "reset", "503"])
def test_what_lasts_is_told_and_the_next_push_goes_on(bench: Bench, proxy: FaultProxy, fault: str):
    bench.push(FIRST)
    proxy.rules = [Rule(fault, "PUT", "manifest.json", times=ALWAYS)]
    with pytest.raises(AkoshaSnapError) as caught:
        bench.push(SECOND)
    assert caught.value.exit_code == LASTING.get(fault, 1)
    assert caught.value.hint
    assert ("clock" in caught.value.hint) == (fault == "clock")
    assert stored(bench, proxy) == [FIRST]
    packs = bench.packs()
    bench.push(SECOND)
    assert stored(bench, proxy) == [FIRST, SECOND]
    assert len(bench.packs()) <= len(packs) + 1  # the chunk list's: what was uploaded serves again


@pytest.mark.parametrize("fault", [pytest.param("hang", marks=pytest.mark.stress), "drip"])
def test_what_never_ends_is_given_up_in_time(bench: Bench, proxy: FaultProxy, fault: str):
    bench.push(FIRST)
    proxy.rules = [Rule(fault, "GET", "list-type", times=ALWAYS)]
    started = time.monotonic()
    with pytest.raises(AkoshaSnapError) as caught:
        api.snapshots(DeadlineStore(bench.store, 0.3), system_id=SYSTEM)
    assert time.monotonic() - started < 5 * 0.3 + 3
    assert caught.value.exit_code == 1
    proxy.stop.set()


@pytest.mark.parametrize("key", ["manifest.json", "/packs/"])
def test_a_flipped_bit_is_read_again_and_damage_only_if_it_stays(bench: Bench, proxy: FaultProxy, key: str):
    bench.push(FIRST)
    proxy.rules = [Rule("flipped", "GET", key)]
    assert bench.restored() == FIRST
    assert proxy.rules[0].hit == 1
    proxy.rules = [Rule("flipped", "GET", key, times=ALWAYS)]
    with pytest.raises(AkoshaSnapError) as caught:
        bench.restored()
    assert caught.value.exit_code == 4
    assert not list(bench.folder.glob("restored-2/*"))


def test_nobody_listens(bench: Bench, proxy: FaultProxy):
    proxy.server_close()
    proxy.shutdown()
    with pytest.raises(AkoshaSnapError) as caught:
        bench.push(FIRST)
    assert caught.value.exit_code == 1
