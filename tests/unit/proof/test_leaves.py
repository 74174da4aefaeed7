"""The entries of trees: one text for each event, whatever its names hold, and nothing else is one."""

from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from uploader.proof.leaves import Leaf

SESSION, DIGEST = "a9dedde7-7b01-46f0-90cc-2ee9140cd3ba", "0" * 64
TEXTS = st.text(st.characters(), max_size=20)  # with lone surrogates: bytes that are not UTF-8 are kept as such


@given(TEXTS, TEXTS, st.integers(1, 10**15), st.sampled_from([None, "f" * 64]))
def test_an_entry_is_read_back(kind: str, key: str, seq: int, blob: str | None) -> None:
    leaf = Leaf(SESSION, seq, kind, key, DIGEST, blob)
    entry = leaf.entry()
    assert entry.isascii()
    assert entry == json.dumps(list(leaf), separators=(",", ":"))
    assert Leaf.parse(entry) == leaf


@pytest.mark.parametrize(
    "line",
    [
        "",
        "[]",
        f'["{SESSION}",0,"k","","{DIGEST}",null]',
        f'["{SESSION}",01,"k","","{DIGEST}",null]',
        f'["{SESSION}",1,"k","","{DIGEST[1:]}",null]',
        f'["{SESSION}",1,"k","","{DIGEST}",null] ',
        f'["{SESSION}", 1,"k","","{DIGEST}",null]',
        f'["{SESSION}",1,"\\u006b","","{DIGEST}",null]',  # another spelling of the same
        f'["{SESSION}",1,"\\x","","{DIGEST}",null]',
        f'["{SESSION}",1,"k","é","{DIGEST}",null]',
    ],
)
def test_what_is_written_otherwise_is_none(line: str) -> None:
    assert Leaf.parse(line) is None
