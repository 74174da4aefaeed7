"""The GFLOPs of a model are found without its weights, and are the ones that upstream measures."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest
from support.threads import left_threads

from uploader.callbacks.epochs import model_info
from uploader.callbacks.model_profile import ModelProfile, parameters, without_weights

pytestmark = pytest.mark.training

SIZE = 64


@pytest.fixture(scope="module")
def model(ultralytics: Any) -> Any:
    return ultralytics.YOLO("yolo11n-cls.yaml").model.train()


def profile_of(model: Any) -> ModelProfile:
    profile = ModelProfile()
    profile.begin(model, SIZE)
    return profile


def trainer(model: Any, **args: Any) -> Any:
    validator = SimpleNamespace(speed={"inference": 1.23456})
    return SimpleNamespace(model=model, validator=validator, args=SimpleNamespace(profile=False, imgsz=SIZE, **args))


@pytest.mark.parametrize("name", ["yolo11n.yaml", "yolo11n-seg.yaml", "yolo11n-cls.yaml"])
def test_the_numbers_are_upstreams(ultralytics: Any, name: str) -> None:
    model = ultralytics.YOLO(name).model.train()
    measured = model_info(trainer(model))
    assert measured is not None
    assert measured["gflops"] > 0
    assert model_info(trainer(model), profile_of(model)) == measured


def test_the_copy_has_shapes_and_no_content(model: Any) -> None:
    copied = without_weights(model)
    assert {tensor.device.type for tensor in (*copied.parameters(), *copied.buffers())} == {"meta"}
    assert {tensor.device.type for tensor in (*model.parameters(), *model.buffers())} == {"cpu"}
    assert parameters(copied) == parameters(model)
    assert [each.requires_grad for each in copied.parameters()] == [each.requires_grad for each in model.parameters()]


def test_nothing_of_the_training_changes(model: Any) -> None:
    import torch

    state, names = torch.get_rng_state(), sorted(name for name, _ in model.named_buffers())
    assert profile_of(model).gflops()
    assert torch.equal(torch.get_rng_state(), state)
    assert sorted(name for name, _ in model.named_buffers()) == names
    assert not any(module._forward_hooks for module in model.modules())


def test_a_model_in_a_wrapper_is_its_inner_one(model: Any) -> None:
    wrapped = SimpleNamespace(module=model)
    assert parameters(without_weights(wrapped)) == parameters(model)


def test_a_model_that_was_changed_since_is_measured(model: Any) -> None:
    profile = profile_of(model)
    profile.parameters += 1
    assert model_info(trainer(model), profile) == model_info(trainer(model))


def test_a_model_that_needs_its_weights_is_measured(ultralytics: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    import torch

    class Picky(torch.nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.layer = torch.nn.Conv2d(3, 4, 3)

        def forward(self, image: Any) -> Any:
            return self.layer(image) * float(self.layer.weight.detach().sum())  # a meta tensor has no content

    picky = Picky()
    profile = profile_of(picky)
    assert profile.gflops() is None
    measured = model_info(trainer(picky), profile)
    assert measured is not None
    assert measured["gflops"] > 0


def test_its_thread_ends_with_the_training(model: Any) -> None:
    profile = profile_of(model)
    profile.close()
    assert left_threads("uploader-model-profile") == []
