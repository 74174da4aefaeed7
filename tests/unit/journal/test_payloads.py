"""A payload that is too large keeps what is small, and says what is missing."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from journal.encoding import encode
from journal.losses import Loss
from journal.writing.payloads import cut_text, fitted

LONGEST = 10_000


def fit(payload: dict[Any, Any]) -> tuple[dict[str, Any], list[Loss]]:
    text, losses = fitted(payload, LONGEST)
    assert len(text) <= LONGEST
    return json.loads(text), losses


def test_what_fits_is_not_touched() -> None:
    payload = {"z": [1.5, None], "a": "x" * 9_000}
    assert fitted(payload, LONGEST) == (encode(payload), [])


def test_an_epoch_keeps_its_number_and_the_metrics_that_fit() -> None:
    metrics = {f"m{number}": 0.5 for number in range(5_000)}
    kept, [loss] = fit({"epoch": 7, "metrics": metrics, "fitness": 0.5})
    assert (kept["epoch"], kept["fitness"]) == (7, 0.5)
    assert 200 < len(kept["metrics"]) < 1_000
    assert kept["metrics"].items() <= metrics.items()
    assert (loss.what, loss.count) == ("parts of metrics", 5_000 - len(kept["metrics"]))


def test_results_keep_all_plots_but_the_largest() -> None:
    plots = [{"type": "a", "x": [1]}, {"type": "large", "x": [0.25] * 5_000}, {"type": "b", "x": [2]}]
    kept, [loss] = fit({"results": {"fitness": 1}, "plots": plots})
    assert kept == {"results": {"fitness": 1}, "plots": [plots[0], plots[2]]}
    assert (loss.what, loss.count) == ("parts of plots", 1)


def test_text_is_cut_with_a_note() -> None:
    kept, [loss] = fit({"chunkId": 1, "content": "y" * 50_000, "lineCount": 5})
    assert (kept["chunkId"], kept["lineCount"]) == (1, 5)
    text, note = kept["content"].split("… ")
    assert note == f"{50_000 - len(text)} characters left out"
    assert loss.bytes == 50_000 - len(text)


def test_text_that_is_written_in_escapes_fits_too() -> None:
    kept, [_] = fit({"content": "\x01" * 9_000})
    assert 500 < len(kept["content"]) < 2_000


def test_names_are_kept_in_their_order() -> None:
    kept, _ = fit({"b": 1, "large": list(range(10_000)), "a": 2, 3: 4})
    assert list(kept) == ["b", "large", "a", "3"]


@pytest.mark.parametrize(
    "payload", [{"k" * 20_000: 1}, {"deep": {"deeper": {"text": "x" * 30_000}}}, {"n": 1 << 90_000}]
)
def test_any_shape_is_bounded(payload: dict[str, Any]) -> None:
    _, losses = fit(payload)
    assert losses


VALUES = st.recursive(
    st.none() | st.floats() | st.text(max_size=3_000),
    lambda inner: st.lists(inner, max_size=5) | st.dictionaries(st.text(max_size=20), inner, max_size=5),
    max_leaves=30,
)


@given(st.dictionaries(st.text(max_size=10), VALUES, max_size=6))
def test_it_never_fails_and_says_when_something_is_missing(payload: dict[str, Any]) -> None:
    kept, losses = fit(payload)
    assert bool(losses) == (json.loads(encode(payload)) != kept)


def test_text_is_cut_at_its_bound() -> None:
    assert cut_text("abc", 3) == "abc"
    assert cut_text("abcd", 3) == "abc… 1 characters left out"
