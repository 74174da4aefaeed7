"""The text that Prometheus reads, read back by the parser of its own client."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from uploader.reports.exposition import Gauge, Sample, exposition

TEXTS = st.text(st.characters(codec="utf-8"), max_size=20)


def parsed(text: str) -> Iterator[Any]:
    parser = pytest.importorskip("prometheus_client.parser")
    return iter(parser.text_string_to_metric_families(text))


@given(TEXTS, st.floats(allow_nan=False))
@pytest.mark.parametrize("hard", ["", '"', "\\", "\n", '\\n"', "{a=b},", "# HELP"])
def test_labels_and_values_come_back_as_they_were(hard: str, text: str, value: float) -> None:
    told = exposition([Gauge("uploader_x", "What\\it\nis.", [Sample({"a": f"{hard}{text}", "b": hard}, value)])])
    [family] = parsed(told)
    assert (family.name, family.type, family.documentation) == ("uploader_x", "gauge", "What\\it\nis.")
    [sample] = family.samples
    assert (sample.labels, sample.value) == ({"a": f"{hard}{text}", "b": hard}, value)


def test_a_gauge_without_samples_is_left_out() -> None:
    assert exposition([Gauge("uploader_x", "It.")]) == ""
    [family] = parsed(exposition([Gauge("uploader_x", "It."), Gauge("uploader_y", "It.", [Sample({}, 2)])]))
    assert family.name == "uploader_y"


def test_whole_numbers_have_no_fraction() -> None:
    assert exposition([Gauge("x", "It.", [Sample({}, 12.0), Sample({"a": "b"}, 0.5)])]).splitlines()[2:] == [
        "x 12",
        'x{a="b"} 0.5',
    ]
