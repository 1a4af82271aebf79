"""Object keys: exactly those of the format, and read back."""

from __future__ import annotations

import pytest

from akosha_snap.manifest.keys import (
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
from akosha_snap.stores import check_key

UPLOAD = "20261123T071500Z-3f9c0a1b"
PACK = bytes(range(32))


def test_the_layout_of_format_v1():
    assert system_marker("mac") == "systems/mac/"
    assert upload_marker("mac", UPLOAD) == f"systems/mac/{UPLOAD}/"
    assert manifest_key("mac", UPLOAD) == f"systems/mac/{UPLOAD}/manifest.json"
    assert full_file_key("mac", UPLOAD, "a.duckdb") == f"systems/mac/{UPLOAD}/a.duckdb"
    assert format_key("mac") == "akosha-snap/mac/format.json"
    assert pack_key("mac", PACK) == f"akosha-snap/mac/packs/00/{PACK.hex()}"


def test_every_key_is_one_a_store_can_hold():
    for key in (system_marker("mac"), upload_marker("mac", UPLOAD), manifest_key("mac", UPLOAD), pack_key("m", PACK)):
        check_key(key)


def test_keys_are_read_back():
    assert pack_id_of(pack_key("mac", PACK)) == PACK
    assert upload_key(manifest_key("mac", UPLOAD)) == ("mac", UPLOAD)
    assert pack_key("mac", PACK).startswith(packs_prefix("mac"))


@pytest.mark.parametrize(
    "key",
    ["", "systems/mac/", manifest_key("mac", UPLOAD), f"{pack_key('mac', PACK)}.tmp", f"x/{pack_key('mac', PACK)}",
     f"akosha-snap/mac/packs/01/{PACK.hex()}", f"akosha-snap/mac/packs/00/{PACK.hex()[:-2]}",
     f"akosha-snap/mac/packs/{PACK.hex()}"],
)  # fmt: skip
def test_other_keys_are_no_packs(key):
    assert pack_id_of(key) is None


@pytest.mark.parametrize(
    "key",
    ["", "systems/mac/manifest.json", f"systems/mac/{UPLOAD}/a.duckdb", f"systems/mac/{UPLOAD}/x/manifest.json",
     f"systems/mac/{UPLOAD}/manifest.json.bak", pack_key("mac", PACK)],
)  # fmt: skip
def test_other_keys_are_no_manifests(key):
    assert upload_key(key) is None
