"""The rules of countersigning: a session's tree may grow, by the key that began it, and never change."""

from __future__ import annotations

from dataclasses import replace

import pytest
from support.proofs import RUN, SIGNERS, WITNESS_SEED, request, tree

from uploader.proof import ed25519
from uploader.proof.heads import run_head
from uploader.proof.signed_notes import Note, VerifierKey
from uploader.proof.signers import UNSIGNED, Signers
from uploader.proof.trees import SessionTree
from uploader.server.http_errors import Forbidden, Invalid, Malformed, NotFound
from uploader.server.rules.witnessing import OtherSizeError, WitnessKey, keys_of, parse, witness
from uploader.server.storage.witness_store import Witnessed

KEY = WitnessKey("platform.example", WITNESS_SEED)
ANNOUNCED = [str(SIGNERS.key)]
OTHER = Signers([bytes([9] * 32)])


def asked(made: SessionTree, known: Witnessed | None, **options: object) -> Witnessed:
    return witness(parse(request(made, **options)), known, ANNOUNCED, KEY, 1_800_000_000)  # type: ignore[arg-type]


def test_a_tree_is_countersigned_as_it_grows() -> None:
    first = asked(tree(3), None)
    second = asked(tree(7, last=b"end"), first, old=3)
    note = Note.parse(second.note)
    assert (first.size, second.size, second.key) == (3, 7, ANNOUNCED[0])
    assert note.cosigned_at(KEY.public, ed25519.verify) == 1_800_000_000
    assert asked(tree(7, last=b"end"), second, old=7).root == second.root


def test_changed_events_are_refused_though_the_key_has_signed_them() -> None:
    known = asked(tree(3, last=b"true"), None)
    for changed in (tree(3), tree(9)):
        with pytest.raises(Invalid, match="they were changed"):
            asked(changed, known, old=3)


def test_another_key_cannot_go_on_with_a_tree_even_if_it_is_announced() -> None:
    known = asked(tree(3), None)
    with pytest.raises(Forbidden):
        witness(parse(request(tree(5), 3, OTHER)), known, [str(OTHER.key)], KEY, 1)


def test_a_new_key_goes_on_with_a_tree_where_the_former_one_signs_too() -> None:
    known = asked(tree(3), None)
    both = Signers([bytes([9] * 32), *SIGNERS.seeds])
    assert witness(parse(request(tree(5), 3, both)), known, [], KEY, 1).size == 5


def test_only_an_announced_key_begins_a_tree() -> None:
    with pytest.raises(NotFound):
        witness(parse(request(tree(3))), None, [], KEY, 1)
    for signers in (OTHER, UNSIGNED):
        with pytest.raises(Forbidden):
            asked(tree(3), None, signers=signers)
    with pytest.raises(Forbidden):
        witness(parse(request(tree(3))), None, ["no key"], KEY, 1)


def test_a_run_that_announced_no_key_has_the_one_of_its_head() -> None:
    head = str(SIGNERS.run(run_head(RUN, ANNOUNCED[0], [tree(3).head()])))
    assert keys_of([], ["damaged", head]) == ANNOUNCED
    assert keys_of([str(OTHER.key)], [head]) == [str(OTHER.key)]


@pytest.mark.parametrize("old", [0, 2])
def test_the_size_before_has_to_be_known(old: int) -> None:
    known = asked(tree(3), None)
    with pytest.raises(OtherSizeError) as found:
        asked(tree(5), known, old=old)
    assert found.value.size == 3


def test_a_cosignature_is_of_the_witness_and_of_nobody_else() -> None:
    made = parse(request(tree(3)))
    stranger = VerifierKey("stranger", bytes(32))
    noted = replace(made, note=made.note.with_signatures(UNSIGNED.session(tree(3).head()).signatures))
    note = Note.parse(witness(noted, None, ANNOUNCED, KEY, 1).note)
    assert len(note.signatures) == 2
    assert note.signed_by(stranger, ed25519.verify) is None


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"\xff",
        request(tree(3)).replace(b"old 0", b"old 00"),
        request(tree(3)).replace(b"old 0", b"old x"),
        request(tree(3)).replace(b"old 0", b"new 0"),
        request(tree(3), 0, path=[bytes(32)] * 64),
        request(tree(3)).replace(b"old 0\n", b"old 0\n!!!\n"),
        request(tree(3)).replace(b"old 0", b"old 4"),
        request(tree(3)).replace(b"offline-uploader/", b"other-log/"),
        request(tree(3))[:-20],
    ],
)
def test_what_is_no_request_is_refused(content: bytes) -> None:
    with pytest.raises(Malformed):
        parse(content)
