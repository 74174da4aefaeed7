"""Keeping the heads of runs: in the metadata of their models, and countersigned where the platform does that.

    GET, PATCH /api/models/<owner>/<project>/<model>   the run's head, beside what else the metadata holds
    POST /api/proof/add-checkpoint                     a session's head, as https://c2sp.org/tlog-witness defines it
    GET  /api/proof/heads/<run>                        what was countersigned of the run

The public platform has the first only.
"""

from __future__ import annotations

import base64
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from threading import Lock
from urllib.parse import quote

from uploader.errors import CredentialsRefused, Foreign, ReadRefused, Refused, Transient
from uploader.platforms.answers import refusal
from uploader.platforms.base import GrownHead, KeptHeads, RunIdentity
from uploader.platforms.http.json_api import JsonApi
from uploader.platforms.ultralytics.own_model import LONGEST, own_model
from uploader.proof.heads import Head, parse_checkpoint
from uploader.proof.signed_notes import NotANote, Note, Signature

NAME = "offlineUploader"
"""The key of a model's metadata under which its run's head is."""
LARGEST = 500_000
"""The characters that the metadata of a model may have as JSON."""

_WITNESS = "/api/proof"
_NO_SUCH_PATH = frozenset({404, 405, 501})
_OTHER_SIZE = 409
_NOTHING_TO_SAY = frozenset({404, 409})
"""No training of the run has announced a key, as those of earlier versions; or another drain has just told it."""


class RunHeads:
    """Tells one platform the heads of runs. Threads may share it."""

    def __init__(self, api: JsonApi, host: str, metadata: Lock) -> None:
        """Prepare; nothing is sent yet.

        Args:
            api: The platform's endpoints.
            host: The platform, for messages.
            metadata: Held while a model's metadata is read and written.
        """
        self._api = api
        self._host = host
        self._metadata = metadata
        self._countersigns = True

    def keep(self, identity: RunIdentity, head: str, sessions: Sequence[GrownHead]) -> KeptHeads:
        """Have the platform keep a run's head, and countersign those of its sessions.

        Raises:
            DeliveryError: The platform could not be asked now.
        """
        with self._metadata:
            is_kept, refused = self._keep_in_metadata(identity, head)
        known = self._known(identity)
        if known is None:
            return KeptHeads(refused=refused, is_kept=is_kept)
        others = [one for one in sessions if known.heads.get(one.origin) != _head_of(one.checkpoint)]
        notes, contradicted = dict(known.notes), []
        for one in others:
            try:
                notes[one.origin] = self._countersign(one, known.size(one.origin)) or known.notes.get(one.origin, "")
            except Refused as error:
                contradicted.append(str(error))
        return KeptHeads(known.witness, tuple(filter(None, notes.values())), refused, tuple(contradicted), is_kept)

    def _keep_in_metadata(self, identity: RunIdentity, head: str) -> tuple[bool, str | None]:
        """Add the head to the model's metadata; return whether it is there, and in words why that was refused."""
        try:
            found = own_model(self._api, identity)
            if found is None:
                return False, None
            metadata = found.metadata
            changed = {**metadata, NAME: {"head": head}}
            if len(json.dumps(changed, separators=(",", ":"))) > LARGEST:
                return False, f"the metadata of the model would have more than {LARGEST:,} characters"
            if changed != metadata:
                self._api.patch(found.path, json.dumps({"metadata": changed}))
        except (Refused, CredentialsRefused) as error:
            return False, str(error)
        return True, None

    def _countersign(self, head: GrownHead, old_size: int) -> str | None:
        """Have a session's head countersigned; return it with the countersignature, None if there is nothing to say.

        Raises:
            Refused: The platform has seen other events, or another key.
            DeliveryError: It could not be asked now.
        """
        if old_size > head.size:
            seen = f"{old_size} events of {head.origin}, and this journal has {head.size}"
            raise Refused(f"{self._host} has countersigned {seen}", status=_OTHER_SIZE)
        hashes = "".join(f"{base64.b64encode(each).decode()}\n" for each in head.growth(old_size))
        body = f"old {old_size}\n{hashes}\n{head.checkpoint}"
        answer = self._api.post_text(f"{_WITNESS}/add-checkpoint", body)
        if answer.ok:
            return _with_lines(head.checkpoint, answer.body)
        if answer.status in _NOTHING_TO_SAY:
            return None
        raise refusal(answer, self._host)

    def _known(self, identity: RunIdentity) -> _Known | None:
        """Return what is countersigned of a run; None where the platform does not do so, which is not asked again."""
        if not self._countersigns:
            return None
        try:
            found = self._api.get(f"{_WITNESS}/heads/{quote(identity.run_uuid, safe='')}", longest=LONGEST)
        except (Refused, ReadRefused, Foreign):
            found = {}
        except Transient as error:
            if error.status not in _NO_SUCH_PATH:
                raise
            found = {}
        self._countersigns = isinstance(found.get("key"), str) and isinstance(found.get("heads"), list)
        return _Known.of(found["key"], found["heads"]) if self._countersigns else None


@dataclass(frozen=True)
class _Known:
    """What a platform has countersigned of a run.

    Attributes:
        witness: The verifier key of the platform.
        notes: The checkpoints, by the names of their trees.
        heads: What each of them tells, by the name of its tree.
    """

    witness: str
    notes: Mapping[str, str]
    heads: Mapping[str, Head]

    def size(self, origin: str) -> int:
        """Return how many events of a tree are countersigned."""
        return self.heads[origin].size if origin in self.heads else 0

    @classmethod
    def of(cls, witness: str, notes: Sequence[object]) -> _Known:
        """Return what an answer tells; what is no checkpoint in it is left out."""
        heads: dict[str, Head] = {}
        found: dict[str, str] = {}
        for note in map(str, notes):
            name = note.partition("\n")[0]
            try:
                heads[name] = _head_of(note)
            except NotANote:
                continue
            found[name] = note
        return cls(witness, found, heads)


def _with_lines(checkpoint: str, lines: bytes) -> str | None:
    """Return a checkpoint with the signature lines of an answer; None if it has none."""
    try:
        signatures = [Signature.parse(line) for line in lines.decode().splitlines()]
        return str(Note.parse(checkpoint).with_signatures(signatures)) if signatures else None
    except (NotANote, UnicodeError):
        return None


def _head_of(checkpoint: str) -> Head:
    return parse_checkpoint(Note.parse(checkpoint).text)[2]
