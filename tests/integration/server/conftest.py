from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from support.platform_api import Api

from uploader.server.running import RunningServer, running

KEY = "ul_test_key"


@pytest.fixture
def server(tmp_path: Path) -> Iterator[RunningServer]:
    with running(tmp_path / "platform", api_key=KEY) as running_server:
        yield running_server


@pytest.fixture
def api(server: RunningServer) -> Api:
    return Api(server.url, KEY)
