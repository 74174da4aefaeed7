"""A proof holds as it was made, and does not with anything in it changed."""

from __future__ import annotations

import json
from collections.abc import Callable

import pytest
from support.proofs import FIRST, RUN, SECOND, SEED, SIGNERS, WITNESS, Making, events

from uploader.proof import ed25519
from uploader.proof.heads import RunHead, run_head
from uploader.proof.leaves import Leaf
from uploader.proof.proof_checking import Findings, check
from uploader.proof.proof_file import DamagedProof, NotAProof
from uploader.proof.signed_notes import VerifierKey
from uploader.proof.signers import UNSIGNED, Signers

MADE = Making({FIRST: events(5), SECOND: events(3)}, seen={FIRST: 5, SECOND: 2})


def checked(lines: list[bytes], **options: list[VerifierKey]) -> Findings:
    return check(lines, ed25519.verify, **options)


def test_it_holds_as_it_was_made() -> None:
    seen: list[tuple[Leaf, bytes | None]] = []
    found = check(MADE.lines(), ed25519.verify, lambda leaf, payload: seen.append((leaf, payload)))
    assert (found.troubles, found.events, found.beyond) == ([], 8, 0)
    assert found.signed_by == [SIGNERS.key]
    assert [(one.events, one.session) for one in found.countersigned] == [(5, FIRST), (2, SECOND)]
    assert found.covered_by(WITNESS) == 7
    assert [(leaf.session, leaf.seq) for leaf, _ in seen] == [
        *((FIRST, each) for each in range(1, 6)),
        *((SECOND, each) for each in range(1, 4)),
    ]
    assert seen[6][1] == b'{"epoch":1}'


def test_payloads_may_be_left_out() -> None:
    lines = [line for line in MADE.lines() if not line.startswith(b" ")]
    assert checked(lines).troubles == []


def test_every_changed_byte_is_found() -> None:
    """None of them gives a proof that holds with other events, another signer or another witness."""
    whole, lines = checked(MADE.lines()), MADE.lines()
    for number in range(1, len(lines)):
        for place in range(0, len(lines[number]) - 1, 7):
            changed = bytearray(lines[number])
            changed[place] ^= 1
            try:
                found = checked([*lines[:number], bytes(changed), *lines[number + 1 :]])
            except (DamagedProof, NotAProof):
                continue
            said = (found.troubles, found.signed_by, found.countersigned)
            assert said != ([], whole.signed_by, whole.countersigned) or _is_a_label(lines[number], place), changed


def _is_a_label(line: bytes, place: int) -> bool:
    """Return whether a byte is one of `beyond`, or of a signature line's name: nothing is proven by these."""
    return line.startswith(b'{"session"') and b'"beyond":' in line[max(0, place - 12) : place + 12]


@pytest.mark.parametrize("missing", [n for n, line in enumerate(MADE.lines()) if not line.startswith(b" ")])
def test_a_line_less_is_found(missing: int) -> None:
    lines = MADE.lines()
    with pytest.raises((DamagedProof, NotAProof)):
        checked([*lines[:missing], *lines[missing + 1 :]])


@pytest.mark.parametrize("kept", range(len(MADE.lines())))
def test_a_file_that_was_cut_off_is_none(kept: int) -> None:
    lines = MADE.lines()
    with pytest.raises((DamagedProof, NotAProof)):
        checked(lines[:kept])
    with pytest.raises((DamagedProof, NotAProof)):
        checked([*lines[:kept], lines[kept][:-1]])


def test_lines_that_come_twice_or_after_the_end_are_found() -> None:
    lines = MADE.lines()
    for number in range(1, len(lines)):
        with pytest.raises(DamagedProof):
            checked([*lines[: number + 1], lines[number], *lines[number + 1 :]])


def test_another_key_is_not_the_one_that_was_asked_for() -> None:
    other = Signers([bytes([9] * 32)])
    found = checked(Making(MADE.sessions, signers=other).lines(), keys=[SIGNERS.key or WITNESS])
    assert found.troubles == []
    assert found.signed_by == [other.key]


def test_a_former_key_that_signs_too_announces_the_newer_one() -> None:
    new = bytes([9] * 32)
    found = checked(Making(MADE.sessions, signers=Signers([new, SEED])).lines(), keys=[SIGNERS.key or WITNESS])
    assert found.beginning.key == Signers([new]).key
    assert found.signed_by == [SIGNERS.key, Signers([new]).key]


def test_an_unsigned_proof_is_signed_by_nobody() -> None:
    found = checked(Making(MADE.sessions, signers=UNSIGNED).lines())
    assert (found.troubles, found.signed_by) == ([], [])


def test_a_countersigned_head_of_other_events_is_found() -> None:
    """Somebody has the key, and signs other events than those that the platform has seen."""
    rewritten = Making({FIRST: [*events(4), ("epoch_end", "4", b'{"epoch":99}')]}).lines()
    original = Making({FIRST: events(5)}, seen={FIRST: 5}).lines()
    theirs, ours = json.loads(rewritten[-2]), json.loads(original[-2])
    theirs["countersigned"] = ours["countersigned"]
    found = checked([*rewritten[:-2], json.dumps(theirs).encode() + b"\n", rewritten[-1]])
    assert [what for what in found.troubles if "countersigned" in what]
    assert found.covered_by(WITNESS) == 0


def test_a_witness_that_the_file_does_not_bring_is_taken_from_elsewhere() -> None:
    lines = Making(MADE.sessions, seen=MADE.seen, witnesses=()).lines()
    assert checked(lines).countersigned == []
    assert checked(lines, witnesses=[WITNESS]).covered_by(WITNESS) == 7


def test_the_head_of_another_run_is_found() -> None:
    lines = MADE.lines()
    other = lines[-1].replace(RUN.encode(), SECOND.encode())
    assert checked([*lines[:-1], other]).troubles


def test_a_session_that_was_left_out_is_found() -> None:
    lines = MADE.lines()
    without = [line for number, line in enumerate(lines) if number <= 11 or number == len(lines) - 1]
    assert checked(without).troubles == ["the sessions are not those that the head of the run lists: some were altered"]


def test_the_head_of_other_events_is_found_though_the_key_has_signed_it() -> None:
    lines, others = MADE.lines(), Making({FIRST: events(4)}).lines()
    end, other = json.loads(lines[11]), json.loads(others[-2])
    end["head"] = other["head"]
    found = checked([*lines[:11], json.dumps(end).encode() + b"\n", *lines[12:]])
    assert found.troubles == [f"the events of session {FIRST} are not those whose head was signed: they were altered"]


def test_the_head_of_a_run_is_the_same_in_whichever_order_its_sessions_come() -> None:
    heads = [tree.head() for tree in checked(MADE.lines()).trees.values()]
    head = run_head(RUN, None, heads)
    assert head == run_head(RUN, None, reversed(heads)) == RunHead.parse(head.text())


@pytest.mark.parametrize(
    "line",
    [
        b"",
        b"\n",
        b"hello\n",
        b"[]\n",
        b"{}\n",
        b"\xff\xfe\n",
        b'{"format":"offline-uploader proof","version":2}\n',
        b"[" * 9999,
    ],
)
def test_what_is_no_proof_is_said(line: bytes) -> None:
    with pytest.raises(NotAProof):
        checked([line])


@pytest.mark.parametrize("change", [lambda line: line[:40], lambda line: b"[" * 5000, lambda line: b'{"head":7}'])
def test_a_damaged_end_is_said(change: Callable[[bytes], bytes]) -> None:
    lines = MADE.lines()
    with pytest.raises(DamagedProof):
        checked([*lines[:-1], change(lines[-1]) + b"\n"])
