"""One attempt at one delivery: from a claim to a call of the platform's client."""

from __future__ import annotations

import json
import logging
import time
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass
from pathlib import Path
from threading import Event, Lock
from typing import Any

from journal.checkpoints.blob_access import Blobs
from journal.errors import BlobMissing, BlobsUnavailable
from journal.kinds import INTENTS, REGISTRATION
from journal.records import Claim, Content
from uploader.delivery.progress import Progress
from uploader.errors import BlobUnusable, Damaged, DeliveryError, Interrupted, OlderCopy, Refused
from uploader.platforms.base import (
    CarryingOut,
    Comparing,
    Message,
    Platform,
    Receipt,
    RunIdentity,
    Upload,
    UploadProgress,
)
from uploader.platforms.http.file_body import StoreAway
from uploader.platforms.registry import spec_of
from uploader.run_folder.run_file import KnownRun

_LOG = logging.getLogger(__name__)
_NOT_OFFERED = 501


@dataclass(frozen=True)
class Finished:
    """An attempt that is over.

    Attributes:
        claim: The delivery.
        result: The platform's receipt, or why there is none.
        seconds: How long it took.
    """

    claim: Claim
    result: Receipt | Exception
    seconds: float = 0.0


class Deliverer:
    """Makes attempts for one destination; called from many threads."""

    def __init__(
        self, platform: Platform, blobs: Blobs, default_project: str, progress: Progress, abort: Event
    ) -> None:
        """Prepare.

        Args:
            platform: The client.
            blobs: Where checkpoints' bytes are.
            default_project: For runs that named none.
            progress: Hears of uploads.
            abort: Once set, uploads end where they are.
        """
        self._platform = platform
        self._blobs = blobs
        self._default_project = default_project
        self._progress = progress
        self._abort = abort
        self._compared: dict[str, str | None] = {}
        self._comparing = Lock()

    def attempt(self, claim: Claim) -> Finished:
        """Make one attempt; an error is part of the result."""
        began = time.monotonic()
        result = self._result(claim)
        return Finished(claim, result, time.monotonic() - began)

    def _result(self, claim: Claim) -> Receipt | Exception:
        try:
            return self._deliver(claim)
        except DeliveryError as error:
            return error
        except Exception as error:  # noqa: BLE001  one bad row harms only itself
            _LOG.exception("delivery %s failed in an unexpected way", claim.delivery_id)
            return error

    def _deliver(self, claim: Claim) -> Receipt:
        if not claim.body.startswith("{"):  # the planner sets such an event aside; parsing each would cost too much
            raise Damaged(f"what the journal holds of event {claim.first_event} is damaged; `doctor` looks it over")
        self._require_newest(claim)
        if claim.lane == "upload":
            return self._upload(claim)
        told = (claim.attempt, claim.order, claim.times)
        message = Message(claim.chunk_id, claim.kind, claim.body, self._identity(claim), *told)
        if claim.kind in INTENTS:
            return self._carry_out(claim, message)
        return self._platform.register(message) if claim.kind == REGISTRATION else self._platform.send(message)

    def _carry_out(self, claim: Claim, intent: Message) -> Receipt:
        if isinstance(self._platform, CarryingOut):
            size = json.loads(claim.body).get("size", 0)
            with self._sending(f"{claim.run.name}/{claim.role}", size if isinstance(size, int) else 0) as hear:
                return self._platform.carry_out(intent, hear)
        raise Refused(f"{spec_of(self._platform.name).title} does nothing of this kind for a run", status=_NOT_OFFERED)

    def _require_newest(self, claim: Claim) -> None:
        """Have the platform tell once, before anything is sent of a run, whether the journal is an older copy."""
        run = claim.run
        if claim.known is None or not isinstance(self._platform, Comparing):
            return
        with self._comparing:
            if run.id not in self._compared:
                self._compared[run.id] = self._platform.ahead(self._identity(claim), claim.known)
            more = self._compared[run.id]
        if more is not None:
            raise OlderCopy(
                f"the platform has {more}: this journal is an older copy, and delivering it would overwrite newer "
                f"data. Drain the newer journal; if that is lost, `route {run.id} --name NAME` delivers this one as "
                "another model"
            )

    def _upload(self, claim: Claim) -> Receipt:
        upload = self._describe(claim, json.loads(claim.body))
        with self._sending(f"{claim.run.name}/{upload.filename}", upload.size) as hear:
            return self._platform.upload(upload, hear)

    @contextmanager
    def _sending(self, name: str, size: int) -> Iterator[UploadProgress]:
        """Show a file that is sent, if there is one, and end it where it is once the drain is to stop."""
        shown = self._progress.upload(name, size) if size else nullcontext(lambda _: None)
        with shown as sent:

            def hear(size: int) -> None:
                if self._abort.is_set():
                    raise Interrupted("the drain was told to stop in the middle of the upload")
                sent(size)

            yield hear

    def _describe(self, claim: Claim, file: dict[str, Any]) -> Upload:
        assert claim.sha256 is not None  # the planner gives every upload its blob
        return Upload(
            chunk_id=claim.chunk_id,
            content=self._find(claim, claim.sha256),
            size=file["size"],
            sha256=claim.sha256,
            filename=file["filename"],
            identity=self._identity(claim),
            attempt=claim.attempt,
            form=file.get("form", {}),
            order=claim.order,
            times=claim.times,
        )

    def _find(self, claim: Claim, sha256: str) -> Content:
        try:
            return self._blobs.find(sha256)
        except BlobMissing as error:
            cure = self._blobs.cure(claim.run.save_dir, f"retry {claim.delivery_id}")
            raise BlobUnusable(f"{error}; {cure}") from error
        except BlobsUnavailable as error:
            raise StoreAway(str(error)) from error

    def _identity(self, claim: Claim) -> RunIdentity:
        run = claim.run
        former = tuple(each or self._default_project for each in claim.former_projects)
        project, elsewhere = run.project or self._default_project, claim.kind == REGISTRATION and _has_gone_on(claim)
        return RunIdentity(run.id, project, run.name, claim.ids, claim.sessions, former, elsewhere)


def _has_gone_on(claim: Claim) -> bool:
    """Return whether the run's folder, where it can be read here, names a session that the journal does not have.

    So it is where the training went on with another journal, as on another machine that shares the folder.
    """
    mark = KnownRun.read(Path(claim.run.save_dir)) if claim.run.save_dir else None
    return mark is not None and mark.run == claim.run.id and mark.newest.uuid not in {None, *claim.sessions}
