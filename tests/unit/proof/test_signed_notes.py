"""Notes and keys are those of c2sp.org/signed-note, whose examples these are."""

from __future__ import annotations

import pytest

from uploader.proof import ed25519
from uploader.proof.signed_notes import COSIGNED, NotANote, Note, VerifierKey, cosign, sign

KEY = "example.com/foo+530d903a+AekyeRrm56hApGFkyQR4ZCbV54Id2LKaANYcrnKv3U2k"
NOTE = (
    "This is an example message.\n\n"
    "— example.com/foo Uw2QOkn8srV1yJGh2VYRlL1Tnagv1YEq6TfXppzi2ONncAlTgK7Ztg1ERYNZXsYjOBH3mFXmRKuwHjG1Yu72IneyaQM=\n"
)
SEED = bytes(range(32))


def test_the_example_of_the_specification_is_accepted() -> None:
    key, note = VerifierKey.parse(KEY), Note.parse(NOTE)
    assert (str(key), str(note)) == (KEY, NOTE)
    assert note.signed_by(key, ed25519.verify) is True
    assert Note("Another message.\n", note.signatures).signed_by(key, ed25519.verify) is False
    assert note.signed_by(key.named("example.com/bar"), ed25519.verify) is None


def test_what_is_signed_is_read_back_with_all_its_signatures() -> None:
    key = VerifierKey("origin", ed25519.public_of(SEED))
    witness = VerifierKey("witness", ed25519.public_of(SEED), COSIGNED)
    text = "origin\n3\nAAAA\n\nwith an empty line\n"
    note = Note(text).with_signatures([sign(text, key, ed25519.signer(SEED))])
    note = note.with_signatures([cosign(text, witness, ed25519.signer(SEED), 1_700_000_000)])
    read = Note.parse(str(note))
    assert read == note
    assert read.signed_by(key, ed25519.verify)
    assert read.cosigned_at(witness, ed25519.verify) == 1_700_000_000
    assert read.cosigned_at(witness.named("other"), ed25519.verify) is None
    assert Note(text + "more\n", read.signatures).cosigned_at(witness, ed25519.verify) is None


def test_a_cosignature_binds_its_time() -> None:
    witness = VerifierKey("witness", ed25519.public_of(SEED), COSIGNED)
    made = cosign("t\n", witness, ed25519.signer(SEED), 5)
    later = type(made)(made.name, made.key_id, (6).to_bytes(8, "big") + made.content[8:])
    assert Note("t\n", (later,)).cosigned_at(witness, ed25519.verify) is None


def test_a_note_without_signatures_is_one() -> None:
    assert Note.parse("text\n\n") == Note("text\n")


@pytest.mark.parametrize(
    "written",
    [
        "",
        "text\n",
        NOTE[:-1],
        NOTE[:-4] + "\n",
        NOTE.replace("— ", "- "),
        NOTE.replace("example.com/foo ", ""),
        NOTE.replace("IneyaQM=", "IneyaQN="),  # bits that no encoding has
        NOTE.replace("\n\n", "\n\r\n"),
        "x" * (2 << 20) + NOTE,
    ],
)
def test_what_is_no_note_is_refused(written: str) -> None:
    with pytest.raises(NotANote):
        Note.parse(written)


@pytest.mark.parametrize(
    "text", ["", "a+b", KEY[:-4], KEY.replace("530d903a", "530d903b"), KEY.replace("+Aek", "+Bek"), " +" + KEY]
)
def test_what_is_no_key_is_refused(text: str) -> None:
    with pytest.raises(NotANote):
        VerifierKey.parse(text)
