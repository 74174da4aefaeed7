"""What a proof shows of its run: how far it went, how it ended, and its checkpoints."""

from __future__ import annotations

import hashlib
import json
from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from textwrap import wrap
from typing import Any

from journal.evaluations import SAID, Told, are_trained, said
from journal.kinds import CHECKPOINT, COMPLETE, DISCLOSED, EPOCH, EVALUATED, INTERRUPTED, STATES, VALIDATED, of
from journal.quantities import count, epoch_in_words
from journal.sessions.identity import derived
from uploader.proof.leaves import Leaf

_BLOCK = 1 << 20
_WIDTH = 76
_SAID, _EVALUATED, _VALIDATED = (f'"{begin}'.encode() for begin in (f'{SAID}"', EVALUATED, VALIDATED))
NO_END = "no end recorded"


@dataclass
class Summary:
    """Is shown each event of a proof.

    Attributes:
        said: Of epochs, by their keys, whether they are the final evaluation, where that was recorded.
        epochs: The others that are no final evaluation, by their metrics.
        evaluations: What looks like a final evaluation; of a validator that gives no losses, each epoch does.
        last_evaluations: The last two of these, by their keys.
        last_word: The state that the last training that began or ended leaves the run in.
        last_session: The session of that training.
        noted: The sessions in which a drain has noted that a training was interrupted.
        results: What its end says of it, if that is disclosed.
        checkpoints: Their sha256, with what is disclosed of each.
        disclosed: Of how many events the content is there.
        withheld: Of how many events of each kind somebody has taken it out: `prove` always puts it in.
        untold: The keys of epochs of which it is not there.
        shown: The checkpoints, and how trainings ended.
    """

    said: dict[str, bool] = field(default_factory=dict)
    epochs: set[str] = field(default_factory=set)
    evaluations: set[str] = field(default_factory=set)
    last_evaluations: dict[str, bytes] = field(default_factory=dict)
    last_word: str | None = None
    last_session: str = ""
    noted: set[str] = field(default_factory=set)
    results: dict[str, Any] = field(default_factory=dict)
    checkpoints: dict[str, dict[str, Any]] = field(default_factory=dict)
    disclosed: int = 0
    withheld: Counter[str] = field(default_factory=Counter)
    untold: set[str] = field(default_factory=set)
    shown: list[Leaf] = field(default_factory=list)

    def see(self, leaf: Leaf, payload: bytes | None) -> None:
        """Take an event in."""
        self.disclosed += payload is not None
        if payload is None and leaf.kind in DISCLOSED:
            self.withheld[leaf.kind] += 1
        if leaf.kind == EPOCH:
            self._take_epoch(leaf.key, payload)
        elif leaf.kind == CHECKPOINT and leaf.blob:
            self.shown.append(leaf)
            self.checkpoints[leaf.blob] = {"role": leaf.key, **_parts(payload, "filename", "epoch", "size")}
        elif leaf.kind in STATES:
            self._take_word(leaf, payload)

    def _take_epoch(self, key: str, payload: bytes | None) -> None:
        if payload is None:
            self.untold.add(key)
            return
        is_said = _told(payload).said if _SAID in payload else None
        if is_said is not None:
            self.said[key] = is_said
        elif not _looks_like_evaluation(payload):
            self.epochs.add(key)
            return
        self.evaluations.add(key)
        self.last_evaluations.pop(key, None)
        self.last_evaluations[key] = payload
        if len(self.last_evaluations) > 2:
            del self.last_evaluations[next(iter(self.last_evaluations))]

    def _take_word(self, leaf: Leaf, payload: bytes | None) -> None:
        """Take in how the run stands; what a drain has noted may stand before the session that it is about."""
        self.shown.append(leaf)
        if leaf.kind == INTERRUPTED:
            self.noted.add(leaf.session)
            return
        self.last_word, self.last_session = of(leaf.kind).tells_state, leaf.session
        self.results = _results(payload) if leaf.kind == COMPLETE else {}

    @property
    def state(self) -> str:
        """How the run stands; a proof cannot tell whether a training without an end still runs."""
        if self.last_word not in {None, "running"}:
            return str(self.last_word)
        is_noted = derived(INTERRUPTED, self.last_session) in self.noted or (self.noted and not self.last_word)
        return "interrupted" if is_noted else NO_END

    @property
    def epochs_trained(self) -> int | None:
        """How many epochs were trained; None where the content of some was taken out: any may be an evaluation."""
        return None if self.untold else self._trained()

    @property
    def epochs_at_most(self) -> int:
        """How many epochs can have been trained at most, by the content that is there."""
        told = self.epochs | self.evaluations | set(self.said)
        evaluations = {key for key, is_evaluation in self.said.items() if is_evaluation}
        if self.epochs:
            evaluations |= self.evaluations - self.epochs - (set(self.said) - evaluations)
        return len((told - evaluations) | self.untold)

    @property
    def omission(self) -> str | None:
        """In words, the content that somebody has taken out; None where all is there that `prove` puts in."""
        if not self.withheld:
            return None
        kinds = ", ".join(f"{number} of {kind}" for kind, number in sorted(self.withheld.items()))
        events = count(self.withheld.total(), "event")
        return f"the content of {events} that `prove` always discloses was taken out: {kinds}"

    def _trained(self) -> int:
        trained = {key for key, is_evaluation in self.said.items() if not is_evaluation}
        if self.epochs:
            return len(trained | self.epochs)
        is_last_one = not all(are_trained([_told(payload) for payload in self.last_evaluations.values()]))
        return len(trained | self.evaluations) - is_last_one

    def lines(self) -> Iterator[str]:
        """Yield it in words."""
        best = ", ".join(f"{name} {value:.4g}" for name, value in self.results.items())
        known = self.epochs_trained
        epochs = f"at most {count(self.epochs_at_most, 'epoch')}" if known is None else count(known, "epoch")
        told = f"{self.state}, {epochs}" + (f"; {best}" if best else "")
        yield from wrap(told, _WIDTH, subsequent_indent="  ", break_long_words=False, break_on_hyphens=False)
        for sha256, facts in self.checkpoints.items():
            yield f"{facts.get('filename') or facts['role']}{of_epoch(facts)}"
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


def of_epoch(facts: Mapping[str, Any]) -> str:
    """Return in words which epoch a checkpoint is of, "" where that is not told."""
    epoch = epoch_in_words(facts.get("epoch"))
    return f" of {epoch}" if epoch else ""


def _told(payload: bytes) -> Told:
    """Return what is known of an epoch; nothing where its content cannot be read."""
    try:
        content = json.loads(payload)
        return Told(said(content), dict(content["metrics"]))
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError):
        return Told(None, {})


def _looks_like_evaluation(payload: bytes) -> bool:
    """Return what `journal.evaluations.looks_like_one` does, without reading all: a long run has very many."""
    return _EVALUATED in payload and _VALIDATED not in payload


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
