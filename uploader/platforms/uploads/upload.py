"""Uploads a checkpoint to the location that the platform names: resumably if the server can, else with one PUT."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any

from uploader.errors import BlobUnusable, Refused, Transient, Unreachable
from uploader.platforms.answers import host_of
from uploader.platforms.base import Upload, UploadProgress
from uploader.platforms.http.file_body import BlobReader, StoreAway
from uploader.platforms.http.transport import Transport
from uploader.platforms.uploads import tus
from uploader.platforms.uploads.gcs import GcsSession, is_session
from uploader.platforms.uploads.resumable import (
    LocationLost,
    LocationRefused,
    OutOfStep,
    UploadSession,
    chunk_size,
    transfer,
)
from uploader.platforms.uploads.resume_points import ResumePoint, ResumePoints
from uploader.platforms.uploads.storage_answers import STORAGE_SECONDS, TOO_LARGE, check_taken, difference

FRESH_URLS = 6
"""When the storage has refused this many new URLs in a row, it is taken to forbid the file."""
MANY_ATTEMPTS = 8
"""From this attempt on, the new URLs of one attempt suffice: short drains would never reach that number."""

UploadLocation = Mapping[str, Any]
"""The platform's answer to a request for a location to upload to; its `uploadUrl` is text."""


class Storage:
    """Where one platform's checkpoints go. Threads may share it."""

    def __init__(self, transport: Transport, platform: str) -> None:
        """Prepare; nothing is sent yet.

        Args:
            transport: The connections.
            platform: Host of the platform itself.
        """
        self._transport = transport
        self._platform = platform
        self._points = ResumePoints()
        self._refused: Counter[str] = Counter()

    def store(self, upload: Upload, ask: Callable[[], UploadLocation], progress: UploadProgress) -> UploadLocation:
        """Store the file, resuming what an earlier attempt began.

        Args:
            upload: The file.
            ask: Asks the platform for a new location.
            progress: Told the number of bytes.

        Returns:
            The location that holds it. Unless the file went there in one piece, it is remembered until `forget`.

        Raises:
            Refused: The storage refused each of many new URLs from the platform.
            DeliveryError: The file is not stored completely. The storage's 401 and 403 concern its URL, never our key.
        """
        point = self._points.find(upload.chunk_id)
        try:
            return self._deliver(upload, point, progress) if point else self._to_new_location(upload, ask, progress)
        except LocationLost:  # once: a new location should be good
            return self._to_new_location(upload, ask, progress)

    def _to_new_location(
        self, upload: Upload, ask: Callable[[], UploadLocation], progress: UploadProgress
    ) -> UploadLocation:
        try:
            location = self._deliver(upload, ResumePoint(ask()), progress)
        except LocationRefused as error:
            self._refused[upload.chunk_id] += 1
            self._bear(upload, error)
            raise
        self._refused.pop(upload.chunk_id, None)
        return location

    def _bear(self, upload: Upload, error: LocationRefused) -> None:
        """Tolerate a refusal unless it was one too many.

        Raises:
            Refused: It was one too many.
        """
        enough = 2 if upload.attempt >= MANY_ATTEMPTS else FRESH_URLS
        if self._refused[upload.chunk_id] < enough:
            return
        del self._refused[upload.chunk_id]
        cure = (
            "its limit on the size of a file raised" if error.status == TOO_LARGE else "the storage's rights put right"
        )
        raise Refused(
            f"the storage of {self._platform} takes the file at no URL that the platform gives: {error}; all else of "
            f"the run is sent without it. Have {cure}, then `retry`",
            status=error.status or 403,
        ) from None

    def forget(self, upload: Upload) -> None:
        """Start with a new location next time: the upload is complete, or lost."""
        self._points.forget(upload.chunk_id)

    def _deliver(self, upload: Upload, point: ResumePoint, progress: UploadProgress) -> UploadLocation:
        try:
            begun = point if point.session else self._begin(upload, point.location)
            if begun.session is None:
                self._put(upload, point.location, progress)
            else:
                self._points.keep(upload.chunk_id, replace(begun, offset=None))
                self._transfer(upload, begun.session, begun.offset, progress)
        except Unreachable as error:
            if host_of(point.location["uploadUrl"]) == self._platform:
                raise
            # Only uploads must wait for a storage that is down.
            raise Transient(f"the storage of {self._platform}: {error}") from None
        return point.location

    def _begin(self, upload: Upload, location: UploadLocation) -> ResumePoint:
        """Choose how to upload the file to a new location."""
        url = location["uploadUrl"]
        if is_session(url):
            # An empty file has no last chunk to complete the session; asking for the offset completes it.
            return ResumePoint(location, GcsSession(self._transport, url, upload), 0 if upload.size else None)
        if upload.size <= chunk_size(upload.size):
            return ResumePoint(location)  # a single chunk cannot be resumed
        session, offset = tus.begin(self._transport, location.get("tus"), upload)
        return ResumePoint(location, session, offset)

    def _transfer(self, upload: Upload, session: UploadSession, offset: int | None, progress: UploadProgress) -> None:
        try:
            transfer(upload, session, progress, offset=offset)
        except StoreAway:  # the location is as good as before
            raise
        except Transient as error:
            # Waiting will not help: this location is unusable, so the next attempt asks for another.
            if isinstance(error, (LocationLost, OutOfStep)) or error.status is None:
                self.forget(upload)
            raise
        except BlobUnusable:
            self.forget(upload)
            session.abandon()
            raise

    def _put(self, upload: Upload, location: UploadLocation, progress: UploadProgress) -> None:
        url, signed = location["uploadUrl"], location.get("headers")
        told = signed.items() if isinstance(signed, dict) else ()
        headers = {"Content-Type": "application/octet-stream"} | {name: str(value) for name, value in told}
        with BlobReader(upload.content, upload.size, upload.sha256, progress) as body:
            answer = self._transport.request("PUT", url, headers=headers, body=body, answer_seconds=STORAGE_SECONDS)
        check_taken(answer, host_of(url))
        if (other := difference(answer, upload)) is not None:
            raise Transient(f"{host_of(url)} stored {other}", status=answer.status)
