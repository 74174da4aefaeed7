"""Parties of the protocols that this project did not write."""

from __future__ import annotations

import pytest
from support.node import Node, installed


@pytest.fixture(scope="session")
def node(pytestconfig: pytest.Config) -> Node:
    """Node with the packages of package.json; they stay in pytest's cache."""
    return installed(pytestconfig.cache.mkdir("interop"))
