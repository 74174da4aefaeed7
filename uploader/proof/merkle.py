"""Merkle trees of RFC 6962, section 2.1: roots, and proofs that an entry is in a tree or that a tree has only grown."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from hashlib import sha256

HASH_BYTES = 32
_LEAF, _NODE = b"\x00", b"\x01"


def leaf_hash(entry: bytes) -> bytes:
    """Return the hash of an entry."""
    return sha256(_LEAF + entry).digest()


def root(leaves: Sequence[bytes]) -> bytes:
    """Return the hash of the tree over these leaf hashes; without any, that of nothing."""
    if not leaves:
        return sha256().digest()
    level = leaves
    while len(level) > 1:
        level = _level_above(level)
    return level[0]


def inclusion(leaves: Sequence[bytes], index: int) -> list[bytes]:
    """Return the proof that a leaf is in the tree: the sibling of each node on its way to the root."""
    path: list[bytes] = []
    level = leaves
    while len(level) > 1:
        if (sibling := index ^ 1) < len(level):
            path.append(level[sibling])
        level, index = _level_above(level), index >> 1
    return path


def root_of_inclusion(leaf: bytes, index: int, size: int, path: Iterable[bytes]) -> bytes | None:
    """Return the root that such a proof leads to; None if its length does not fit (RFC 9162, 2.1.3.2)."""
    if not 0 <= index < size:
        return None
    number, last, found = index, size - 1, leaf
    for sibling in path:
        if last == 0:
            return None
        if number & 1 or number == last:
            found = _node_hash(sibling, found)
            while not number & 1 and number:
                number, last = number >> 1, last >> 1
        else:
            found = _node_hash(found, sibling)
        number, last = number >> 1, last >> 1
    return found if last == 0 else None


def consistency(leaves: Sequence[bytes], old_size: int) -> list[bytes]:
    """Return the proof that the tree over the first `old_size` leaves has grown into the one over all of them."""
    if not 0 < old_size < len(leaves):
        return []
    return _subproof(leaves, old_size, is_whole=True)


def is_consistent(old_size: int, old_root: bytes, size: int, new_root: bytes, path: Sequence[bytes]) -> bool:
    """Return whether such a proof holds (RFC 9162, 2.1.4.2)."""
    if old_size in (0, size):
        return not path and (old_size == 0 or old_root == new_root)
    if not 0 < old_size < size:
        return False
    nodes = [old_root, *path] if old_size & (old_size - 1) == 0 else list(path)
    if not nodes:
        return False
    number, last = old_size - 1, size - 1
    while number & 1:
        number, last = number >> 1, last >> 1
    old = new = nodes[0]
    for node in nodes[1:]:
        if last == 0:
            return False
        if number & 1 or number == last:
            old, new = _node_hash(node, old), _node_hash(node, new)
            while not number & 1 and number:
                number, last = number >> 1, last >> 1
        else:
            new = _node_hash(new, node)
        number, last = number >> 1, last >> 1
    return last == 0 and old == old_root and new == new_root


def _subproof(leaves: Sequence[bytes], old_size: int, *, is_whole: bool) -> list[bytes]:
    if old_size == len(leaves):
        return [] if is_whole else [root(leaves)]
    split = _split(len(leaves))
    if old_size <= split:
        return [*_subproof(leaves[:split], old_size, is_whole=is_whole), root(leaves[split:])]
    return [*_subproof(leaves[split:], old_size - split, is_whole=False), root(leaves[:split])]


def _split(size: int) -> int:
    """Return the largest power of two below a size."""
    return 1 << (size - 1).bit_length() - 1


def _level_above(level: Sequence[bytes]) -> list[bytes]:
    """Return the hashes of pairs; a last one without a partner rises as it is."""
    pairs = zip(level[::2], level[1::2], strict=False)
    above = [sha256(_NODE + left + right).digest() for left, right in pairs]
    return [*above, level[-1]] if len(level) & 1 else above


def _node_hash(left: bytes, right: bytes) -> bytes:
    return sha256(_NODE + left + right).digest()
