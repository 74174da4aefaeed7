"""Files that arrive in pieces: begun, gone on with, checked as a whole and stored as any other upload, or given up."""

from __future__ import annotations

import secrets
from dataclasses import replace

from uploader.server.http_errors import Gone, Malformed, NotFound, WrongChecksum
from uploader.server.rules import training
from uploader.server.services import Platform
from uploader.server.storage.statements import Rows
from uploader.server.storage.store_records import Upload
from uploader.server.storage.transfer_store import Transfer

LIFETIME = 7 * 24 * 3600
"""Seconds that a transfer has from its beginning: a machine in the field may be without a network for days."""


def begin(platform: Platform, upload: Upload, size: int, sha256: str | None, metadata: str) -> Transfer:
    """Make room for a file, and remove those whose time is over.

    Args:
        platform: Where.
        upload: The upload that it is for.
        size: How many bytes the client says it has.
        sha256: Their digest, if the client says it.
        metadata: All that the client says, in the form of the header `Upload-Metadata`.

    Raises:
        Malformed: It is not the file that was said before.
    """
    if upload.declared_size not in (None, size) or upload.declared_sha256 not in (
        None,
        sha256 or upload.declared_sha256,
    ):
        raise Malformed("This upload was asked for with another size or SHA-256")
    expires = int(platform.clock()) + LIFETIME
    transfer = Transfer(secrets.token_hex(12), upload.id, size, sha256 or upload.declared_sha256, metadata, expires)
    # Durable: the bytes that follow may take hours, and would be worth nothing without it.
    with platform.store.write(durable=True) as rows:
        expired = rows.transfers.delete_expired(platform.clock())
        rows.transfers.insert(transfer)
    for each in expired:
        platform.partial_files.remove(each)
    return settle(platform, transfer.id)


def find(platform: Platform, transfer_id: str) -> Transfer:
    """Return a transfer.

    Raises:
        NotFound: It was given up, or its model was deleted.
        Gone: Its time is over.
    """
    with platform.store.read() as rows:
        transfer = rows.transfers.get(transfer_id)
    if transfer is None:
        raise NotFound("No such upload: it was ended, or its model was deleted")
    if transfer.expires <= platform.clock():
        raise Gone("The time for this upload is over: begin it again")
    return transfer


def offset(platform: Platform, transfer: Transfer) -> int:
    """Return how many bytes of a file are here."""
    return transfer.size if transfer.finished else platform.partial_files.size(transfer.id)


def settle(platform: Platform, transfer_id: str) -> Transfer:
    """Store a file whose last byte is here; do nothing to others. Only one caller at a time may do so for a transfer.

    It also ends what was interrupted between the last byte and the record of it. Takes as long as reading the file.

    Returns:
        The transfer as it is now.

    Raises:
        NotFound: It was given up, or its model was deleted.
        Gone: Its time is over.
        WrongChecksum: The file is not the one that was announced; it is not kept.
    """
    transfer = find(platform, transfer_id)
    if transfer.finished or offset(platform, transfer) < transfer.size:
        return transfer
    sha256 = platform.partial_files.digest(transfer.id)
    if transfer.sha256 not in (None, sha256):
        give_up(platform, transfer.id)
        raise WrongChecksum("The file does not have the SHA-256 that was announced: send it again from the beginning")
    platform.files.keep(platform.partial_files.path(transfer.id), sha256)
    with platform.store.write(durable=True) as rows:
        _record(rows, transfer.id, sha256, platform.now())
    platform.partial_files.remove(transfer.id)
    return replace(transfer, finished=True)


def give_up(platform: Platform, transfer_id: str) -> None:
    """Forget a transfer and the bytes that came by it."""
    with platform.store.write() as rows:
        rows.transfers.delete(transfer_id)
    platform.partial_files.remove(transfer_id)


def resume(rows: Rows, upload_id: str, platform: Platform) -> Transfer | None:
    """Return the transfer that an upload can go on with, and let it be for that upload from now on.

    It is one of the same bytes for the same model and run: a client that was interrupted asks for an upload anew. One
    that is finished already leaves nothing to send.
    """
    upload = rows.uploads.get(upload_id)
    begun = rows.transfers.resumable(upload, platform.clock()) if upload else None
    if upload is None or begun is None or begun.upload_id == upload_id:
        return begun
    rows.transfers.hand_over(begun.id, upload_id)
    if begun.finished and begun.sha256:
        training.finish_upload(rows, upload, begun.sha256, begun.size, platform.now())
    return begun


def _record(rows: Rows, transfer_id: str, sha256: str, now: str) -> None:
    # Read again: while the file was hashed its model may have been deleted, or another upload have taken it over.
    transfer = rows.transfers.get(transfer_id)
    upload = transfer and rows.uploads.get(transfer.upload_id)
    if not (transfer and upload):
        raise NotFound("No such upload: it was ended, or its model was deleted")
    training.finish_upload(rows, upload, sha256, transfer.size, now)
    rows.transfers.finish(transfer.id)
