"""Trees are those of RFC 6962: known roots, and every proof of small trees."""

from __future__ import annotations

from hashlib import sha256

import pytest

from uploader.proof import merkle

# The entries and roots of the reference implementation's tests (google/certificate-transparency).
ENTRIES = [
    bytes.fromhex(each)
    for each in ("", "00", "10", "2021", "3031", "40414243", "5051525354555657", "606162636465666768696a6b6c6d6e6f")
]
ROOTS = {
    1: "6e340b9cffb37a989ca544e6bb780a2c78901d3fb33738768511a30617afa01d",
    2: "fac54203e7cc696cf0dfcb42c92a1d9dbaf70ad9e621f4bd8d98662f00e3c125",
    3: "aeb6bcfe274b70a14fb067a5e5578264db0fa9b51af5e0ba159158f329e06e77",
    8: "5dc9da79a70659a9ad559cb701ded9a2ab9d823aad2f4960cfe370eff4604328",
}
LEAVES = [merkle.leaf_hash(entry) for entry in ENTRIES]
MANY = [merkle.leaf_hash(bytes([each])) for each in range(34)]


@pytest.mark.parametrize(("size", "expected"), ROOTS.items())
def test_roots_are_those_of_the_reference(size: int, expected: str) -> None:
    assert merkle.root(LEAVES[:size]).hex() == expected


def test_the_root_of_nothing_is_the_hash_of_nothing() -> None:
    assert merkle.root([]) == sha256().digest()


@pytest.mark.parametrize("size", range(1, len(MANY)))
def test_each_entry_is_proven_and_no_other(size: int) -> None:
    leaves, root = MANY[:size], merkle.root(MANY[:size])
    for index, leaf in enumerate(leaves):
        path = merkle.inclusion(leaves, index)
        assert merkle.root_of_inclusion(leaf, index, size, path) == root
        assert merkle.root_of_inclusion(MANY[-1], index, size, path) != root
        assert merkle.root_of_inclusion(leaf, index, size, [*path, root]) is None
        assert merkle.root_of_inclusion(leaf, size, size, path) is None
        if path:
            assert merkle.root_of_inclusion(leaf, index, size, path[:-1]) != root


@pytest.mark.parametrize("size", range(1, len(MANY)))
def test_growth_is_proven_and_nothing_else(size: int) -> None:
    leaves, root = MANY[:size], merkle.root(MANY[:size])
    for old in range(1, size + 1):
        old_root, path = merkle.root(leaves[:old]), merkle.consistency(leaves, old)
        assert merkle.is_consistent(old, old_root, size, root, path)
        assert not merkle.is_consistent(old, MANY[-1], size, root, path)
        assert not merkle.is_consistent(old, old_root, size, MANY[-1], path)
        assert not merkle.is_consistent(old, old_root, size, root, [*path, root])
        if path:
            assert not merkle.is_consistent(old, old_root, size, root, path[:-1])
    assert merkle.is_consistent(0, b"", size, root, [])
    assert not merkle.is_consistent(size + 1, root, size, root, [])
