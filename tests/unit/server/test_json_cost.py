from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from uploader.server.api import json_cost
from uploader.server.http_errors import TooLarge

JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text('ab"\\\\[]{},: \n'),
    lambda each: st.lists(each) | st.dictionaries(st.text('ab"\\\\[]{},:'), each),
)


def plain(value: object) -> object:
    """Return the value with all its strings emptied."""
    if isinstance(value, list):
        return [plain(each) for each in value]
    if isinstance(value, dict):
        return {f"k{number}": plain(each) for number, each in enumerate(value.values())}
    return "" if isinstance(value, str) else value


@given(JSON, st.integers(1, 9))
def test_characters_in_strings_cost_nothing(value: object, window: int) -> None:
    text = json.dumps(value, ensure_ascii=False).encode()
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(json_cost, "_STRING", 0)
        patch.setattr(json_cost, "_WINDOW", window)
        assert json_cost.cost(text) == json_cost.cost(json.dumps(plain(value)).encode())


@pytest.mark.parametrize("part", ["[]", "{}", '{"":0}', "[[[]]]", '"ab"', '{"a":[]}'])
def test_json_that_needs_too_much_memory_is_refused(part: str) -> None:
    with pytest.raises(TooLarge):
        json_cost.check_cost(f"[{','.join([part] * (30_000_000 // (len(part) + 1)))}]".encode())


@pytest.mark.parametrize(
    "value",
    [
        {"content": "[[0, 0], {'a': 1}], " * 800_000},
        {"matrix": [[0.0] * 1200] * 1200, "curves": [[0.123456] * 101] * 4800},
        {"lines": ["a line of some sixty characters, as consoles have many of them"] * 200_000},
    ],
)
def test_json_that_trainings_send_is_accepted(value: object) -> None:
    json_cost.check_cost(json.dumps(value, separators=(",", ":")).encode())
