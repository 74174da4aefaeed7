"""What the commands accept is what the platform's SDK types."""

from __future__ import annotations

import inspect
import re

import pytest

from uploader.platforms.ultralytics.wanted import ARGUMENTS, FORMATS, LICENSES, TASKS

sdk = pytest.importorskip("ultralytics_platform", reason="the SDK needs Python 3.11")


@pytest.mark.parametrize(
    ("method", "name", "known"),
    [("models.update", "license", LICENSES), ("exports.create", "format", FORMATS), ("datasets.create", "task", TASKS)],
)
def test_it_is_what_the_sdk_types(method: str, name: str, known: tuple[str, ...]) -> None:
    resource, _, operation = method.partition(".")
    with sdk.Platform(api_key="k") as client:
        declared = inspect.signature(getattr(getattr(client, resource), operation)).parameters[name].annotation
    assert tuple(re.findall(r"[\"']([^\"']+)[\"']", str(declared))) == known


def test_a_conversion_takes_what_upstream_names_for_any_format() -> None:
    exporter = pytest.importorskip("ultralytics.engine.exporter", reason="it names the arguments")
    named = exporter.export_formats().get("Arguments", ())
    assert {one for each in named for one in each} | {"imgsz", "half", "int8", "device"} <= {*ARGUMENTS}
