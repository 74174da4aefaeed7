from __future__ import annotations

import pytest

from uploader.errors import SettingsError
from uploader.platforms.hub.identifier import Identifier, parse_identifier

WEB = "https://hub.ultralytics.com"


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (f"{WEB}/models/abc", Identifier(model_id="abc")),
        (f"{WEB}/models/abc/", Identifier(model_id="abc")),
        (f"{WEB}/models/abc?api_key=s3cret", Identifier(model_id="abc", api_key="s3cret")),
        (f"{WEB}/models/abc?other=1", Identifier(model_id="abc")),
        (f"{WEB}/models/abc//?a=1&api_key=s3cret#tab", Identifier(model_id="abc", api_key="s3cret")),
        ("HTTPS://Hub.Ultralytics.com:443/models/Abc", Identifier(model_id="Abc")),
        ("yolo11n.pt", Identifier(filename="yolo11n.pt")),
        ("models/my.yaml", Identifier(filename="models/my.yaml")),
    ],
)
def test_what_a_model_may_be_called(text: str, expected: Identifier) -> None:
    assert parse_identifier(text, WEB) == expected


@pytest.mark.parametrize(
    "text",
    [
        "",
        "abc",
        f"{WEB}/models/",
        f"{WEB}/datasets/abc",
        "http://[x/models/a",
        "None",
        "https://other.example/models/abc?api_key=s3cret",
    ],
)
def test_anything_else_is_a_clear_error_without_the_key(text: str) -> None:
    with pytest.raises(SettingsError, match=r"models/MODEL_ID, or end in \.pt or \.yaml") as caught:
        parse_identifier(text, WEB)
    assert "s3cret" not in str(caught.value)


def test_a_key_is_not_shown() -> None:
    assert "s3cret" not in repr(parse_identifier(f"{WEB}/models/abc?api_key=s3cret", WEB))
