"""What a proof shows of its run: how far it went, how it ended, and its checkpoints."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from textwrap import wrap
from typing import Any

from journal.kinds import CHECKPOINT, COMPLETE, EPOCH, EVALUATED, STATES, VALIDATED, of
from journal.quantities import count
from uploader.proof.leaves import Leaf

_BLOCK = 1 << 20
_WIDTH = 76
_VALIDATED, _EVALUATED = f'"{VALIDATED}'.encode(), f'"{EVALUATED}'.encode()


@dataclass
class Summary:
    """Is shown each event of a proof.

    Attributes:
        epochs: The epochs that it has, but for a final evaluation.
        evaluations: What looks like a final evaluation; of a validator that gives no losses, each epoch does.
        state: How the run stands.
        results: What its end says of it, if that is disclosed.
        checkpoints: Their sha256, with what is disclosed of each.
        disclosed: Of how many events the content is there.
        shown: The checkpoints, and how trainings ended.
    """

    epochs: set[str] = field(default_factory=set)
    evaluations: set[str] = field(default_factory=set)
    state: str = "running"
    results: dict[str, Any] = field(default_factory=dict)
    checkpoints: dict[str, dict[str, Any]] = field(default_factory=dict)
    disclosed: int = 0
    shown: list[Leaf] = field(default_factory=list)

    def see(self, leaf: Leaf, payload: bytes | None) -> None:
        """Take an event in."""
        self.disclosed += payload is not None
        if leaf.kind == EPOCH:
            (self.epochs if _is_trained(payload) else self.evaluations).add(leaf.key)
        elif leaf.kind == CHECKPOINT and leaf.blob:
            self.shown.append(leaf)
            self.checkpoints[leaf.blob] = {"role": leaf.key, **_parts(payload, "filename", "epoch", "size")}
        elif leaf.kind in STATES:
            self.shown.append(leaf)
            self.state = of(leaf.kind).tells_state or self.state
            self.results = _results(payload) if leaf.kind == COMPLETE else {}

    @property
    def epochs_trained(self) -> int:
        """How many epochs were trained, as far as the proof shows."""
        return len(self.epochs or self.evaluations)

    def lines(self) -> Iterator[str]:
        """Yield it in words."""
        best = ", ".join(f"{name} {value:.4g}" for name, value in self.results.items())
        told = f"{self.state}, {count(self.epochs_trained, 'epoch')}" + (f"; {best}" if best else "")
        yield from wrap(told, _WIDTH, subsequent_indent="  ", break_long_words=False, break_on_hyphens=False)
        for sha256, facts in self.checkpoints.items():
            epoch = f" of epoch {facts['epoch']}" if "epoch" in facts else ""
            yield f"{facts.get('filename') or facts['role']}{epoch}"
            yield f"  sha256 {sha256}"

    def checkpoint_of(self, file: Path) -> tuple[str, dict[str, Any] | None]:
        """Return the sha256 of a file, and what the proof says of the checkpoint that it is, if it is one.

        Raises:
            OSError: It cannot be read.
        """
        digest = hashlib.sha256()
        with file.open("rb") as stream:
            while block := stream.read(_BLOCK):
                digest.update(block)
        return digest.hexdigest(), self.checkpoints.get(digest.hexdigest())


def _is_trained(payload: bytes | None) -> bool:
    """Return whether an epoch trained something, as far as its content is there: see `journal.kinds.TRAINED`."""
    return payload is None or _EVALUATED not in payload or _VALIDATED in payload


def _parts(payload: bytes | None, *names: str) -> dict[str, Any]:
    try:
        values = json.loads(payload or b"")
        return {name: values[name] for name in names if isinstance(values.get(name), (str, int))}
    except (ValueError, AttributeError, RecursionError):
        return {}


def _results(payload: bytes | None) -> dict[str, Any]:
    try:
        results = json.loads(payload or b"")["results"]
        metrics = {**(results.get("metrics") or {}), "bestFitness": results.get("bestFitness")}
        return {name: value for name, value in metrics.items() if isinstance(value, (int, float))}
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError):
        return {}
