"""Resumable uploads: started, resumed, verified as a whole and stored like any other upload, or discarded."""

from __future__ import annotations

import secrets
from dataclasses import replace

from uploader.server.http_errors import Gone, Malformed, NotFound, WrongChecksum
from uploader.server.local_platform import Platform
from uploader.server.rules import uploads
from uploader.server.storage.statements import Rows
from uploader.server.storage.store_records import Upload
from uploader.server.storage.transfer_store import Transfer

LIFETIME = 7 * 24 * 3600
"""Seconds after which a transfer expires: a machine in the field may be without a network for days."""


def begin(platform: Platform, upload: Upload, size: int, sha256: str | None, metadata: str) -> Transfer:
    """Start a transfer, and remove expired ones.

    Args:
        platform: The platform that receives it.
        upload: The upload that it belongs to.
        size: The file's size in bytes, as the client announces it.
        sha256: The file's digest, if the client announces one.
        metadata: The header `Upload-Metadata`.

    Raises:
        Malformed: The upload was requested for another file.
    """
    if upload.declared_size not in (None, size) or upload.declared_sha256 not in (
        None,
        sha256 or upload.declared_sha256,
    ):
        raise Malformed("This upload was requested with another size or SHA-256")
    expires = int(platform.clock()) + LIFETIME
    transfer = Transfer(secrets.token_hex(12), upload.id, size, sha256 or upload.declared_sha256, metadata, expires)
    # Durable, because the bytes that follow may take hours and are useless without this row.
    with platform.store.write(durable=True) as rows:
        expired = rows.transfers.delete_expired(platform.clock())
        rows.transfers.insert(transfer)
    for each in expired:
        platform.partial_files.remove(each)
    return store_if_complete(platform, transfer.id)


def find(platform: Platform, transfer_id: str) -> Transfer:
    """Return a transfer.

    Raises:
        NotFound: It was discarded, or its model was deleted.
        Gone: It has expired.
    """
    with platform.store.read() as rows:
        transfer = rows.transfers.get(transfer_id)
    if transfer is None:
        raise NotFound("No such upload: it was discarded, or its model was deleted")
    if transfer.expires <= platform.clock():
        raise Gone("This upload has expired: start a new one")
    return transfer


def offset(platform: Platform, transfer: Transfer) -> int:
    """Return how many bytes of a file have arrived."""
    return transfer.size if transfer.finished else platform.partial_files.size(transfer.id)


def store_if_complete(platform: Platform, transfer_id: str) -> Transfer:
    """Store a file whose bytes have all arrived. Only one caller at a time may do this for a transfer.

    This also completes a transfer that was interrupted after its last byte, before it was recorded. It takes as long
    as reading the file.

    Returns:
        The transfer as it is now.

    Raises:
        NotFound: It was discarded, or its model was deleted.
        Gone: It has expired.
        WrongChecksum: The file does not match the announced SHA-256; it is not kept.
    """
    transfer = find(platform, transfer_id)
    if transfer.finished or offset(platform, transfer) < transfer.size:
        return transfer
    sha256 = platform.partial_files.digest(transfer.id)
    if transfer.sha256 not in (None, sha256):
        discard(platform, transfer.id)
        raise WrongChecksum("The file does not match the announced SHA-256: send it again from the beginning")
    platform.files.keep(platform.partial_files.path(transfer.id), sha256)
    with platform.store.write(durable=True) as rows:
        _record(rows, transfer.id, sha256, platform.now())
    platform.partial_files.remove(transfer.id)
    return replace(transfer, finished=True)


def discard(platform: Platform, transfer_id: str) -> None:
    """Delete a transfer and the bytes that it has received."""
    with platform.store.write() as rows:
        rows.transfers.delete(transfer_id)
    platform.partial_files.remove(transfer_id)


def resume(rows: Rows, upload_id: str, platform: Platform) -> Transfer | None:
    """Return the transfer that an upload can resume, and assign it to that upload.

    After an interruption, a client requests a new upload; it can resume a transfer of the same bytes for the same model
    and run. If that transfer is already finished, nothing is left to send.
    """
    upload = rows.uploads.get(upload_id)
    found = rows.transfers.resumable(upload, platform.clock()) if upload else None
    if upload is None or found is None or found.upload_id == upload_id:
        return found
    rows.transfers.reassign(found.id, upload_id)
    if found.finished and found.sha256:
        uploads.finish(rows, upload, found.sha256, found.size, platform.now())
    return found


def discard_damaged(platform: Platform, upload_id: str) -> None:
    """Delete a finished transfer that an upload could resume if its file was damaged or lost since.

    Who sends a file again that has arrived has a reason to: it may have read it back.
    """
    with platform.store.read() as rows:
        upload = rows.uploads.get(upload_id)
        found = rows.transfers.resumable(upload, platform.clock()) if upload else None
    if found and found.finished and found.sha256 and not platform.files.is_whole(found.sha256):
        discard(platform, found.id)


def _record(rows: Rows, transfer_id: str, sha256: str, now: str) -> None:
    # Read again: while the file was hashed, its model may have been deleted or the transfer assigned to another upload.
    transfer = rows.transfers.get(transfer_id)
    upload = transfer and rows.uploads.get(transfer.upload_id)
    if not (transfer and upload):
        raise NotFound("No such upload: it was discarded, or its model was deleted")
    uploads.finish(rows, upload, sha256, transfer.size, now)
    rows.transfers.finish(transfer.id)
