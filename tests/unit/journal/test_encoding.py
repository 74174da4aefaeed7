"""Payloads: what JSON cannot carry is replaced, never refused."""

from __future__ import annotations

import json
import math
import sqlite3
from collections import OrderedDict
from contextlib import closing
from datetime import datetime, timezone
from decimal import Decimal
from enum import Enum
from pathlib import Path, PurePosixPath
from types import MappingProxyType
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from journal import encode


class Unwilling:
    """Raises whatever it is asked."""

    def __str__(self) -> str:
        raise RuntimeError("no")

    __repr__ = __str__

    def tolist(self) -> Any:
        raise ValueError("not on this device")


class Endless:
    def tolist(self) -> Any:
        return self

    def __str__(self) -> str:
        return "endless"


class Moody(OrderedDict[str, Any]):
    """A mapping that changes while it is read, as one that another thread writes to may."""

    def items(self) -> Any:
        raise RuntimeError("OrderedDict mutated during iteration")

    values = items

    def __str__(self) -> str:
        return "moody"


class Color(str, Enum):
    RED = "red"


def nested(levels: int) -> Any:
    value: Any = "inmost"
    for _ in range(levels):
        value = [value]
    return value


def decoded(value: Any) -> Any:
    """Return what a reader of the payload {"it": value} gets."""
    return json.loads(encode({"it": value}))["it"]


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        (1.5, 1.5),
        (math.nan, None),
        (-math.inf, None),
        ({"deep": [math.inf, 1.0]}, {"deep": [None, 1.0]}),
        (np.float32(0.5), 0.5),
        (np.float64("nan"), None),
        (np.int64(7), 7),
        (np.bool_(True), True),
        (np.array([[1.0, np.nan], [3.0, 4.0]]), [[1.0, None], [3.0, 4.0]]),
        (np.array(2.5), 2.5),
        (Path("/runs/train"), str(Path("/runs/train"))),
        ({3}, [3]),
        ((1, 2), [1, 2]),
        (MappingProxyType({"a": math.nan}), {"a": None}),
        (Decimal("1.10"), "1.10"),
        (datetime(2026, 1, 2, tzinfo=timezone.utc), "2026-01-02 00:00:00+00:00"),
        (Color.RED, "red"),
        ([Color.RED, math.nan], ["red", None]),
        (b"bytes", "b'bytes'"),
        (Unwilling(), "<Unwilling>"),
        (Endless(), "…"),
        (Moody(a=1), "moody"),
        ({1: "a", None: "b"}, {"1": "a", "null": "b"}),
        ({(1, 2): "pair"}, {"(1, 2)": "pair"}),
        ({Unwilling(): 1}, {"<Unwilling>": 1}),
        (2**63, 2**63),
        (10**5000, hex(10**5000)),
        ("naïve ☂", "naïve ☂"),
        ("weights-\udcff.pt", "weights-\\udcff.pt"),
        ({"\ud800": "\udfff"}, {"\\ud800": "\\udfff"}),
        (PurePosixPath("run-\udce9"), "run-\\udce9"),
    ],
    ids=lambda value: type(value).__name__,
)
def test_what_becomes_of_a_value(value: Any, expected: Any) -> None:
    assert decoded(value) == expected


def test_torch_values_become_numbers() -> None:
    torch = pytest.importorskip("torch")
    weights = torch.nn.Parameter(torch.tensor([0.5, float("nan")]))
    assert decoded({"loss": torch.tensor(0.25), "w": weights}) == {"loss": 0.25, "w": [0.5, None]}
    assert decoded(torch.float16) == "torch.float16"


def test_a_cycle_is_cut_off_at_once() -> None:
    twice: dict[str, Any] = {"size": 1}
    twice["left"] = twice["right"] = twice
    branches: list[Any] = [twice]
    branches += [branches, branches]
    assert decoded(twice) == {"size": 1, "left": "…", "right": "…"}
    assert decoded(branches) == [{"size": 1, "left": "…", "right": "…"}, "…", "…"]


def test_what_is_only_used_twice_is_no_cycle() -> None:
    shared = {"lr": math.nan}
    assert decoded([shared, shared]) == [{"lr": None}, {"lr": None}]


@pytest.mark.parametrize("levels", [48, 60, 600, 1000, 5000])
def test_what_nests_too_deep_is_cut_off_where_sqlite_can_still_read_it(levels: int) -> None:
    text = encode({"epoch": 3, "it": nested(levels)})
    with closing(sqlite3.connect(":memory:")) as connection:
        assert connection.execute("SELECT json_extract(?, '$.epoch')", [text]).fetchone() == (3,)
    assert ("inmost" in text) == (levels < 50)


def test_the_same_text_for_the_same_payload() -> None:
    payload = {"epoch": 1, "metrics": {"loss": 0.1, "lr": 1e-5}}
    assert encode(payload) == encode(dict(payload)) == '{"epoch":1,"metrics":{"loss":0.1,"lr":1e-05}}'


scalars = st.none() | st.booleans() | st.integers() | st.floats() | st.text(st.characters(codec=None)) | st.binary()
values = st.recursive(
    scalars | st.builds(Unwilling) | st.builds(object),
    lambda inner: st.lists(inner) | st.dictionaries(scalars, inner) | st.tuples(inner, inner),
    max_leaves=6,
)


@settings(max_examples=60, deadline=None)
@given(st.dictionaries(st.text(st.characters(codec=None)), values))
def test_any_payload_becomes_an_object_that_every_reader_accepts(payload: dict[str, Any]) -> None:
    text = encode(payload)
    assert isinstance(json.loads(text, parse_constant=pytest.fail), dict)
    assert text.encode().decode() == text


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
    max_leaves=6,
)


@settings(max_examples=60, deadline=None)
@given(st.dictionaries(st.text(), json_values))
def test_what_json_can_carry_comes_back_as_it_was(payload: dict[str, Any]) -> None:
    assert json.loads(encode(payload)) == payload
