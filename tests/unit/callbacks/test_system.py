from __future__ import annotations

import pytest

from uploader.callbacks.system import training_gpus


@pytest.mark.parametrize(
    ("device", "index", "requested", "visible", "gpus"),
    [
        ("cpu", None, "cpu", "", []),
        ("mps", None, "mps", "0", []),
        ("cuda", 0, "", "", [0]),
        ("cuda", None, "None", "", [0]),
        ("cuda", 1, "", "", [1]),
        ("cuda", 0, "0,1", "", [0, 1]),
        ("cuda", 0, "0", "3", [3]),
        ("cuda", 0, "0,1", "2, 3", [2, 3]),
        ("cuda", 0, "1", "6,4", [4]),
        ("cuda", 0, "[0, 1]", "2,3", [2, 3]),
        ("cuda", 0, "cuda:1", "2,3", [3]),
        ("cuda", 0, "2,3", "2,3", [2, 3]),  # older trainers hold the machine's numbers
        ("cuda", 0, "0", "GPU-8932f937,GPU-1a2b3c4d", None),
    ],
)
def test_the_gpus_of_a_training_are_named_as_nvml_names_them(
    device: str, index: int | None, requested: str, visible: str, gpus: list[int] | None
) -> None:
    assert training_gpus(device, index, requested, visible) == gpus
