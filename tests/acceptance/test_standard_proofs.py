"""What `check --export` writes is accepted by a verifier that is not ours: the package `proofbundle`."""

from __future__ import annotations

from pathlib import Path

import pytest
from click.testing import CliRunner
from support.proofs import FIRST, SECOND, WITNESS, Making, events
from support.wants import not_here

from uploader.__main__ import main

END = ("training_complete", "1", b"{}")


@pytest.fixture
def exported(tmp_path: Path) -> Path:
    proof = tmp_path / "run.proof"
    sessions = {FIRST: [*events(6), END], SECOND: [*events(2), END]}
    proof.write_bytes(b"".join(Making(sessions, seen={FIRST: 7, SECOND: 3}).lines()))
    done = CliRunner().invoke(main, ["check", str(proof), "--export", str(tmp_path / "standard")])
    assert done.exit_code == 0, done.output
    return tmp_path / "standard"


def accepts(folder: Path, session: str, seq: int, *options: str) -> bool:
    name = folder / f"{session}-{seq}"
    try:
        from proofbundle import cli
    except ImportError:
        not_here("proofbundle is not installed: it is in the extra `test`")
    key = (folder / f"{session}.vkey").read_text().strip()
    command = ["verify-proof", f"{name}.tlog-proof", "--payload-file", f"{name}.entry", "--log-vkey", key, *options]
    return bool(cli.main(command) == 0)


@pytest.mark.parametrize(("session", "seq"), [(FIRST, 7), (SECOND, 3)])
def test_another_verifier_accepts_it_and_its_witness(exported: Path, session: str, seq: int) -> None:
    witness = (exported / "witnesses.vkey").read_text().strip()
    assert witness == str(WITNESS)
    assert accepts(exported, session, seq, "--witness-vkey", witness, "--threshold", "1")


def test_another_verifier_refuses_an_altered_event(exported: Path) -> None:
    entry = exported / f"{FIRST}-7.entry"
    entry.write_text(entry.read_text().replace("training_complete", "training_failed"))
    assert not accepts(exported, FIRST, 7)
