"""One running Akosha for all contract tests: it takes 14 to 31 s to start. Each test sends as a system of its own."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from akosha_server import AkoshaServer, running_akosha


@pytest.fixture(scope="session")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[AkoshaServer]:
    with running_akosha(tmp_path_factory.mktemp("akosha")) as running:
        yield running
