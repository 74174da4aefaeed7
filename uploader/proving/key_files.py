"""The file with the key pair of this user on this machine: outside all that people copy, and copied with none of it.

    public offline-uploader+1a2b3c4d+AQ…
    private …

A training reads the first line only, so that it need not import what signs. Files beside it whose names go on after
its name, such as `proof-key.old-machine`, are keys of before: they sign as well, and thereby announce the newer one.
"""

from __future__ import annotations

import base64
import os
import shlex
import uuid
from collections.abc import Collection, Iterator
from pathlib import Path

from journal.reading.places import what_is
from uploader.errors import SettingsError
from uploader.proof import ed25519
from uploader.proof.heads import PROGRAM
from uploader.proof.signed_notes import NotANote, VerifierKey
from uploader.proof.signers import UNSIGNED, Signers
from uploader.settings import proof_key_file

_PUBLIC, _PRIVATE = "public ", "private "
_SEED_BYTES = 32
_OF_A_PLATFORM = ("platform.db", "signing-secret")
"""The files by which the data folder of a local platform is recognised."""
_OTHERS = 0o077
"""The permissions of everybody but the owner."""


def public_key() -> str | None:
    """Return the verifier key of this user as text, and make the pair on first use.

    Returns:
        None where there is none: without the extra `proof`, without a home, or where the file cannot be used. A
        training goes on without.
    """
    try:
        return str(_public(_existing_file()))
    except (OSError, SettingsError):
        return None


def signers(journal: Path) -> Signers:
    """Return who signs the heads of a journal's runs; nobody where the extra `proof` is not installed.

    Args:
        journal: The journal's folder.

    Raises:
        SettingsError: The key cannot be used, or would be copied with the journal.
    """
    if not ed25519.is_available():
        return UNSIGNED
    try:
        file = _existing_file(journal)
        former = list(_former(file))
        for each in former:
            _require_outside(each, journal)
        return Signers(tuple(dict.fromkeys(_seed(each) for each in [file, *former])))
    except OSError as error:
        where = f"{error.filename or 'the key that signs proofs'}"
        raise SettingsError(
            f"{where} cannot be used ({error.strerror or error}); UPLOADER_PROOF_KEY names another file for the key"
        ) from error


def cautions(is_new: bool, announced: Collection[str], signs: Signers) -> list[str]:
    """Return in words what whoever signs with the key of this user should know of it.

    Args:
        is_new: Whether its file was not there before.
        announced: The keys that trainings of the run have announced.
        signs: Who signs.
    """
    file = proof_key_file()
    if file is None or not signs.key:
        return []
    lost = set(announced) - {str(key) for key in signs.keys}
    new = f"{file} is new: whatever was signed before has another key"
    other = f"a training of the run has announced another key; its file, put beside as {file.name}.old, signs as well"
    return [
        *([new] if is_new else ()),
        *(f"{other}\n    {key}" for key in sorted(lost)),
        *(f"others can read {each} and sign with it: chmod 600 {shlex.quote(str(each))}" for each in _exposed(file)),
    ]


def _exposed(file: Path) -> Iterator[Path]:
    """Yield the files with keys that others than their owner may read."""
    yield from (each for each in [file, *_former(file)] if each.stat().st_mode & _OTHERS)


def _existing_file(journal: Path | None = None) -> Path:
    """Return the file with the key pair, and make it if it is not there.

    Args:
        journal: See `_require_outside`.

    Raises:
        SettingsError: It would be copied with something else.
        OSError: It is not there and cannot be made, or there is nothing here to make it with.
    """
    file = proof_key_file()
    if file is None:
        raise FileNotFoundError(2, "this user has no home folder", "the key that signs proofs")
    _require_outside(file, journal)
    if not file.exists():
        if not ed25519.is_available():
            raise FileNotFoundError(2, "no key was made yet", str(file))
        _make(file)
    return file


def _make(file: Path) -> None:
    """Make a key pair. Of several processes that do so at once, one wins, and all use its pair."""
    seed = ed25519.new_seed()
    public = VerifierKey(PROGRAM, ed25519.public_of(seed))
    content = f"{_PUBLIC}{public}\n{_PRIVATE}{base64.b64encode(seed).decode()}\n"
    file.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    draft = file.with_name(f".{uuid.uuid4().hex}.tmp")
    try:
        with os.fdopen(os.open(draft, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o600), "w") as stream:
            stream.write(content)
            stream.flush()
            os.fsync(stream.fileno())
        if not file.exists():
            os.link(draft, file)
    except FileExistsError:
        pass
    finally:
        draft.unlink(missing_ok=True)


def _former(file: Path) -> Iterator[Path]:
    """Yield the files with keys of before, in the order of their names."""
    yield from sorted(each for each in file.parent.glob(f"{file.name}.*") if each.is_file())


def _public(file: Path) -> VerifierKey:
    return _lines(file)[0]


def _seed(file: Path) -> bytes:
    public, seed = _lines(file)
    if ed25519.public_of(seed) != public.public:
        raise _damaged(file)
    return seed


def _lines(file: Path) -> tuple[VerifierKey, bytes]:
    try:
        public, private = file.read_text("ascii").splitlines()
        seed = base64.b64decode(private.removeprefix(_PRIVATE), validate=True)
        if len(seed) != _SEED_BYTES:
            raise _damaged(file)
        return VerifierKey.parse(public.removeprefix(_PUBLIC)), seed
    except (ValueError, NotANote) as error:
        raise _damaged(file) from error


def _damaged(file: Path) -> SettingsError:
    return SettingsError(
        f"{file} is no key pair of ours: put the right file there, or move it away, and a new key is made"
    )


def _require_outside(file: Path, journal: Path | None) -> None:
    """Check that the key is not in what people copy and hand on as a whole.

    Args:
        file: The key's.
        journal: The folder of the journal that is proven, which may hold no database yet.

    Raises:
        SettingsError: It is in that, or in any other journal, mirror or data folder of a platform, at any depth.
    """
    real = Path(os.path.realpath(file))
    own = None if journal is None else Path(os.path.realpath(journal))
    for folder in real.parents:
        if what := "journal" if folder == own else _what_is_copied(folder):
            raise SettingsError(
                f"the key {file} is in the {what} {folder}, so whoever has a copy of that could sign; "
                "UPLOADER_PROOF_KEY has to name a file elsewhere"
            )


def _what_is_copied(folder: Path) -> str | None:
    if (what := what_is(folder)) in {"journal", "mirror"}:
        return what
    is_platform = all(os.path.exists(folder / name) for name in _OF_A_PLATFORM)  # noqa: PTH110 - it never raises
    return "data folder of a local platform," if is_platform else None
