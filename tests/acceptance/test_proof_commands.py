"""`prove` and `check`, as the two people use them: one who has the journal, and one who has the file alone."""

from __future__ import annotations

import gzip
import json
import os
import sqlite3
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from dataclasses import replace
from hashlib import sha256
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result
from support.journals import Bench, bench, dead_pid, rows

from journal.evaluations import SAID
from journal.sessions.identity import Session
from uploader.__main__ import main
from uploader.proving.key_files import public_key
from uploader.server.data_folder import opened


@pytest.fixture(autouse=True)
def key(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    file = tmp_path / "keys" / "proof-key"
    monkeypatch.setenv("UPLOADER_PROOF_KEY", str(file))
    return file


@pytest.fixture
def made(tmp_path: Path) -> Iterator[Bench]:
    """A run of three epochs with a checkpoint and an end."""
    with bench(tmp_path / "machine" / "journal") as one:
        one.event("training_started", {"trainArgs": {"data": "secret-path"}}, "1")
        for number in range(3):
            one.event("epoch_end", {"epoch": number, "metrics": {"loss": 1 / (1 + number)}}, str(number))
        one.checkpoint(b"weights", "best", epoch=2, filename="best.pt")
        one.event("training_complete", {"results": {"metrics": {"mAP": 0.5}, "bestFitness": 0.5}}, "1")
        yield one


@pytest.fixture
def proof(made: Bench, tmp_path: Path) -> Path:
    return prove(made, tmp_path / "run.proof")


def run(*arguments: object) -> Result:
    return CliRunner().invoke(main, [str(argument) for argument in arguments])


def prove(made: Bench, file: Path, *options: object) -> Path:
    done = run("prove", "run", "-o", file, "--journal", made.journal.path, *options)
    assert done.exit_code == 0, done.output
    return file


def told(*arguments: object) -> dict[str, Any]:
    values: dict[str, Any] = json.loads(run(*arguments, "--json").stdout)
    return values


def without_content(proof: Path, kind: str, key: str) -> Path:
    """Return a copy of a proof from which somebody has taken out the content of an event."""
    first, _, rest = proof.read_bytes().partition(f'"{kind}","{key}",'.encode())
    digests, _content, others = rest.split(b"\n", 2)
    (file := proof.with_name("shortened.proof")).write_bytes(
        b"".join([first, f'"{kind}","{key}",'.encode(), digests, b"\n", others])
    )
    return file


def heads(file: Path) -> list[str]:
    """Return the texts of the signed heads in a proof, without their signatures."""
    ends = (json.loads(line) for line in file.read_bytes().splitlines() if line.startswith((b'{"session"', b'{"head"')))
    return [end["head"].split("\n\n")[0] for end in ends]


def test_what_was_proven_is_checked_with_the_file_alone(made: Bench, proof: Path, key: Path, tmp_path: Path) -> None:
    weights = tmp_path / "mine.pt"
    weights.write_bytes(b"weights")
    public = key.read_text().splitlines()[0].removeprefix("public ")
    key.unlink()
    done = run("check", proof, weights)
    assert done.exit_code == 0, done.output
    for words in (
        f"{proof}: holds",
        made.run.id,
        "6 events of 1 session, 5 with their content",
        "finished, 3 epochs; mAP 0.5",
        "best.pt of epoch 3\n    sha256 ",
        f"{weights} is the run's checkpoint best of epoch 3",
        f"Signed (self-attested) by\n  {public}",
        "Countersigned by nobody",
    ):
        assert words in done.output
    assert max(len(line) for line in done.output.splitlines() if str(tmp_path) not in line) <= 80
    assert "\n  best  epoch 3  " in run("show", "run", "--journal", made.journal.path).output
    assert [one["epoch"] for one in told("check", proof)["checkpoints"].values()] == [2]
    assert run("check", proof, "--key", public).exit_code == 0
    assert not key.exists()


def test_the_results_are_in_it_and_the_settings_only_where_all_is_asked_for(made: Bench, tmp_path: Path) -> None:
    assert b"secret-path" not in prove(made, tmp_path / "run.proof").read_bytes()
    assert b"secret-path" in prove(made, tmp_path / "whole.proof", "--whole").read_bytes()
    assert told("check", tmp_path / "whole.proof")["disclosed"] == 6


def test_the_key_is_made_once_for_its_owner_and_is_nowhere_else(made: Bench, proof: Path, key: Path) -> None:
    assert key.stat().st_mode & 0o777 == 0o600
    before, private = key.read_text(), key.read_bytes().split()[-1]
    prove(made, proof, "--force")
    assert key.read_text() == before
    assert [path.name for path in key.parent.iterdir()] == ["proof-key"]
    made.writer.close()
    folder = proof.parent
    run("mirror", folder / "drive", "--journal", made.journal.path)
    run("pack", folder / "runs.pack", "--run", "run", "--journal", made.journal.path)
    shown = [path for path in folder.rglob("*") if path.is_file() and path != key]
    assert {"run.proof", "journal.db", "runs.pack", "uploader-mirror.json"} <= {path.name for path in shown}
    assert [path for path in shown if private in path.read_bytes()] == []


def test_a_file_that_is_no_checkpoint_of_the_run_is_refused(proof: Path, tmp_path: Path) -> None:
    (tmp_path / "other.pt").write_bytes(b"other")
    done = run("check", proof, tmp_path / "other.pt")
    assert (done.exit_code, "is no checkpoint of this run" in done.output) == (1, True)
    assert f"{proof}: holds, but does not confirm all that was asked for" in done.output


def test_a_final_evaluation_is_no_epoch(made: Bench, proof: Path) -> None:
    made.event("epoch_end", {"epoch": 3, "metrics": {"metrics/mAP50(B)": 0.5}}, "3")
    prove(made, proof, "--force")
    assert told("check", proof)["epochs"] == 3


def test_epochs_without_losses_of_a_validation_are_counted_as_status_counts_them(tmp_path: Path) -> None:
    with bench(tmp_path / "journal") as one:
        for number, loss in enumerate((3, 2, 1, 1)):
            metrics = {"train/loss": loss, "metrics/mAP50(B)": 0.1 * number}
            one.event("epoch_end", {"epoch": number, "metrics": metrics}, str(number))
            counted = told("check", prove(one, tmp_path / f"{number}.proof"))["epochs"]
            assert counted == one.journal.report()[0].epochs == min(number + 1, 3)


@pytest.mark.parametrize("digit", "0f")
def test_a_training_that_was_killed_is_not_said_to_run(tmp_path: Path, digit: str) -> None:
    """In a proof, what a drain notes of a session stands before it or after it, as the order of their uuids is."""
    with bench(tmp_path / "journal", pid=dead_pid()) as begun:
        uuid = f"{digit * 8}-0000-4000-8000-000000000000"
        session = begun.writer.start_session(begun.run.id, dead_pid(), Session(begun.run.id, uuid, 2))
        one = replace(begun, session_id=session)
        one.event("training_started", {}, "1")
        one.event("epoch_end", {"epoch": 0, "metrics": {"loss": 1}}, "0")
        assert told("check", prove(one, tmp_path / "before.proof"))["state"] == "no end recorded"
        assert one.journal.note_interrupted() == 1
        assert "\n  interrupted, 1 epoch\n" in run("check", prove(one, tmp_path / "noted.proof")).output
        one = replace(one, session_id=one.writer.start_session(one.run.id, dead_pid()))
        one.event("training_started", {}, "1")
        assert told("check", prove(one, tmp_path / "resumed.proof"))["state"] == "no end recorded"


def test_nor_is_one_whose_start_is_lost(tmp_path: Path) -> None:
    with bench(tmp_path / "journal", pid=dead_pid()) as one:
        one.event("training_started", {}, "1")
        assert one.journal.note_interrupted() == 1
        with closing(sqlite3.connect(one.journal.path / "journal.db")) as connection, connection:
            connection.execute("DELETE FROM events WHERE kind = 'training_started'")
        assert told("check", prove(one, tmp_path / "noted.proof"))["state"] == "interrupted"


def test_altered_content_is_named(proof: Path) -> None:
    proof.write_bytes(proof.read_bytes().replace(b'"loss":0.5', b'"loss":0.1'))
    done = run("check", proof)
    assert (done.exit_code, "does not hold" in done.output) == (1, True)
    assert "the content of event 3 (epoch_end 1)" in done.output
    assert "mAP" not in done.output


@pytest.mark.parametrize(
    ("kind", "key"),
    [("epoch_end", "2"), ("training_complete", "1"), ("checkpoint", "best"), ("given_up", ""), ("training_failed", "")],
)
def test_a_proof_that_content_was_taken_out_of_is_not_whole(made: Bench, proof: Path, kind: str, key: str) -> None:
    """Its events are still the signed ones, but whoever was given it does not see what `prove` shows of them."""
    made.event("given_up", {"what": "a checkpoint"}, "")
    made.event("training_failed", {"error": "x"}, "")
    short = without_content(prove(made, proof, "--force"), kind, key)
    done = run("check", short)
    assert done.exit_code == 1
    assert f"{short}: is not whole" in done.output
    assert f"! the content of 1 event that `prove` always discloses was taken out: 1 of {kind}\n" in done.output
    assert (told("check", short)["holds"], told("check", short)["withheld"]) == (False, {kind: 1})
    assert told("check", proof)["withheld"] == {}


VALIDATED, EVALUATED, ALONE = (
    {"train/loss": 1.0, **metrics} for metrics in ({"val/loss": 1, "metrics/a": 1}, {"metrics/a": 1}, {})
)


@pytest.mark.parametrize(
    ("epochs", "hidden", "known"),
    [
        ([VALIDATED, VALIDATED, VALIDATED, EVALUATED], "3", "at most 4 epochs"),
        ([VALIDATED, VALIDATED, VALIDATED, EVALUATED], "1", "at most 3 epochs"),
        ([EVALUATED | {"train/loss": float(number)} for number in range(5)], "2", "at most 5 epochs"),
        ([{**ALONE, "is": False}, {**EVALUATED, "is": False}, {**EVALUATED, "is": True}], "1", "at most 2 epochs"),
        ([{**ALONE, "is": False}, {**EVALUATED, "is": False}, {**EVALUATED, "is": True}], "2", "at most 3 epochs"),
    ],
)
def test_of_epochs_whose_content_was_taken_out_it_is_not_said_how_many_were_trained(
    tmp_path: Path, epochs: list[dict[str, Any]], hidden: str, known: str
) -> None:
    with bench(tmp_path / "journal") as one:
        for number, metrics in enumerate(epochs):
            said = {SAID: metrics["is"]} if "is" in metrics else {}
            shown = {name: value for name, value in metrics.items() if name != "is"}
            one.event("epoch_end", {"epoch": number, "metrics": shown, **said}, str(number))
        proof = without_content(prove(one, tmp_path / "run.proof"), "epoch_end", hidden)
        assert f", {known}\n" in run("check", proof).output
        assert told("check", proof)["epochs"] is None


@pytest.mark.parametrize(
    ("content", "code", "words"),
    [
        (b"", 2, "it is no proof that `prove` wrote"),
        (b"PK\x03\x04", 2, "it is no proof that `prove` wrote"),
        (b'{"format":"offline-uploader proof","version":9}\n', 2, "install a later offline-uploader"),
        (b'{"format":"offline-uploader proof","version":1,"run":"\x1b[31m"', 2, "no proof"),
    ],
)
def test_what_is_no_proof_is_said(tmp_path: Path, content: bytes, code: int, words: str) -> None:
    (tmp_path / "x.proof").write_bytes(content)
    done = run("check", tmp_path / "x.proof")
    assert (done.exit_code, words in done.output) == (code, True), done.output
    assert "\x1b" not in done.output


def test_a_file_that_was_cut_off_does_not_hold(proof: Path) -> None:
    proof.write_bytes(proof.read_bytes()[:-20])
    done = run("check", proof)
    assert (done.exit_code, "was cut off" in done.output) == (1, True)


def test_a_file_that_is_too_large_is_refused_before_it_is_read(proof: Path) -> None:
    os.truncate(proof, 9 << 30)
    done = run("check", proof)
    assert (done.exit_code, "no proof has more than" in done.output) == (2, True)


def test_names_from_a_file_move_no_cursor(proof: Path) -> None:
    proof.write_bytes(proof.read_bytes().replace(b'"called":"demo/run"', b'"called":"\\u001b[2Jdemo"'))
    done = run("check", proof)
    assert (done.exit_code, "\x1b" in done.output, "�[2Jdemo" in done.output) == (0, False, True)


def test_another_key_is_seen(made: Bench, proof: Path, key: Path, tmp_path: Path) -> None:
    """Somebody without the key makes a proof of their own: it holds, but not for who asks for the first key."""
    first = tmp_path / "first-key"
    first.write_text(key.read_text().splitlines()[0])
    key.unlink()
    prove(made, proof, "--force")
    assert run("check", proof).exit_code == 0
    done = run("check", proof, "--key", first)
    assert (done.exit_code, "has not signed it" in done.output) == (1, True)


def test_a_key_of_before_signs_too_and_so_announces_the_new_one(made: Bench, proof: Path, key: Path) -> None:
    first = key.read_text().splitlines()[0]
    key.rename(f"{key}.old")
    prove(made, proof, "--force")
    assert first not in key.read_text()
    assert len(told("check", proof, "--key", first)["signed_by"]) == 2
    assert run("check", proof, "--key", first).exit_code == 0


@pytest.mark.parametrize("content", ["", "public x\nprivate y\n", "public a\n", "\xff"])
def test_a_damaged_key_is_said_and_left_alone(made: Bench, tmp_path: Path, key: Path, content: str) -> None:
    key.parent.mkdir()
    key.write_bytes(content.encode("latin-1"))
    done = run("prove", "run", "-o", tmp_path / "run.proof", "--journal", made.journal.path)
    assert (done.exit_code, "is no key pair of ours" in done.output) == (2, True), done.output
    assert key.read_bytes() == content.encode("latin-1")


def test_of_a_key_that_is_new_or_not_announced_or_readable_by_others_is_warned(
    made: Bench, tmp_path: Path, key: Path
) -> None:
    new = f"{key} is new: whatever was signed before has another key"
    lost = "a training of the run has announced another key; its file, put beside as proof-key.old, signs as well"

    def warned() -> list[bool]:
        done = run("prove", "run", "-o", tmp_path / "run.proof", "--force", "--journal", made.journal.path)
        assert done.exit_code == 0, done.output
        return [words in done.output for words in (new, lost, f"chmod 600 {key}")]

    assert warned() == [True, False, False]
    assert warned() == [False, False, False]
    made.event("training_started", {"environment": {"uploaderProofKey": public_key()}}, "2")
    key.chmod(0o644)
    assert warned() == [False, False, True]
    key.rename(tmp_path / "away")
    assert warned() == [True, True, False]
    (tmp_path / "away").rename(f"{key}.old")
    assert warned() == [False, False, True]


@pytest.fixture
def copied(made: Bench, tmp_path: Path) -> dict[str, Path]:
    """What people copy as a whole, by what it is called."""
    with bench(tmp_path / "other"):
        pass
    run("mirror", tmp_path / "drive", "--journal", made.journal.path)
    with opened(tmp_path / "platform"):
        pass
    return {
        "the journal": made.journal.path,
        "the journal ": tmp_path / "other",
        "the mirror": tmp_path / "drive",
        "the data folder of a local platform": tmp_path / "platform",
    }


@pytest.mark.parametrize("below", ["key", "runs/deep/keys/key"])
def test_a_key_in_anything_that_is_copied_is_refused_and_not_made_there(
    made: Bench, copied: dict[str, Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch, below: str
) -> None:
    for what, folder in copied.items():
        monkeypatch.setenv("UPLOADER_PROOF_KEY", str(folder / below))
        done = run("prove", "run", "-o", tmp_path / "run.proof", "--journal", made.journal.path)
        assert (done.exit_code, f"is in {what.strip()}" in " ".join(done.output.split())) == (2, True), what
        assert public_key() is None
        assert not (folder / below).exists()


def test_so_is_a_link_into_it_and_a_key_of_before(
    made: Bench, copied: dict[str, Path], proof: Path, key: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    inside = copied["the mirror"] / "key"
    inside.write_bytes(key.read_bytes())
    (old := key.with_name("proof-key.old")).symlink_to(inside)
    done = run("prove", "run", "-o", proof, "--force", "--journal", made.journal.path)
    assert (done.exit_code, f"the key {old} is in the mirror" in done.output) == (2, True), done.output
    monkeypatch.setenv("UPLOADER_PROOF_KEY", str(old))
    done = run("prove", "run", "-o", proof, "--force", "--journal", made.journal.path)
    assert (done.exit_code, f"the key {old} is in the mirror" in done.output) == (2, True), done.output


def test_nothing_is_replaced_unasked(made: Bench, proof: Path) -> None:
    done = run("prove", "run", "-o", proof, "--journal", made.journal.path)
    assert (done.exit_code, "--force replaces it" in done.output) == (2, True)


def test_it_is_written_to_the_standard_output_and_to_devices(
    made: Bench, proof: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    for options in ((), ("--json",)):
        done = run("prove", "run", "-o", "-", "--journal", made.journal.path, *options)
        assert done.exit_code == 0, (done.exception, done.output)
        assert (done.exit_code, done.stdout_bytes, "6 events" in done.stderr) == (0, proof.read_bytes(), not options)
    assert not (tmp_path / "-").exists()
    done = run("prove", "run", "-o", "/dev/null", "--journal", made.journal.path)
    assert (done.exit_code, done.stdout, Path("/dev/null").is_file()) == (0, "", False)
    with closing(sqlite3.connect(made.journal.path / "journal.db")) as connection, connection:
        connection.execute("DELETE FROM events")
    done = run("prove", "run", "-o", "-", "--journal", made.journal.path)
    assert (done.exit_code, done.stdout) == (3, "")


@pytest.mark.parametrize("option", ["--key", "--witness"])
def test_of_what_is_no_key_it_is_said_what_was_expected(proof: Path, tmp_path: Path, option: str) -> None:
    (tmp_path / "empty").touch()
    for given, why in (
        ("nonsense", "it is no key, and cannot be read as a file with one (No such file"),
        (str(tmp_path / "empty"), "it is a file without a key"),
        ("a+b", "this is no verifier key of Ed25519"),
    ):
        done = run("check", proof, option, given)
        shown = " ".join(done.output.split())
        assert (done.exit_code, why in shown, "or a file with one" in shown) == (2, True, True), done.output


def test_a_pruned_run_cannot_be_proven_any_more(made: Bench, tmp_path: Path) -> None:
    with closing(sqlite3.connect(made.journal.path / "journal.db")) as connection, connection:
        connection.execute("DELETE FROM events")
    done = run("prove", "run", "-o", tmp_path / "run.proof", "--journal", made.journal.path)
    assert (done.exit_code, "its events were pruned" in done.output) == (3, True)
    assert not (tmp_path / "run.proof").exists()


def test_a_run_whose_events_were_not_numbered_in_their_session_cannot_be_proven(made: Bench, tmp_path: Path) -> None:
    """Those of schema 1 to 3 have the numbers of their rows, which begin at 1 in the first run alone."""
    with closing(sqlite3.connect(made.journal.path / "journal.db")) as connection, connection:
        connection.execute("UPDATE events SET seq = seq + 100")
    done = run("prove", "run", "-o", tmp_path / "run.proof", "--journal", made.journal.path)
    assert (done.exit_code, "before events were numbered" in done.output) == (3, True)


def test_processes_that_make_the_key_at_once_have_the_same(key: Path) -> None:
    with ThreadPoolExecutor(8) as pool:
        made = set(pool.map(lambda _: public_key(), range(8)))
    assert made == {key.read_text().splitlines()[0].removeprefix("public ")}
    assert [path.name for path in key.parent.iterdir()] == ["proof-key"]


def test_what_comes_after_a_hole_is_counted_and_not_covered(made: Bench, proof: Path) -> None:
    with closing(sqlite3.connect(made.journal.path / "journal.db")) as connection, connection:
        connection.execute("DELETE FROM events WHERE seq = 3")
    prove(made, proof, "--force")
    assert (told("check", proof)["events"], told("check", proof)["not_covered"]) == (2, 3)
    assert "not covered: 3 events" in run("check", proof).output


def test_names_that_are_not_utf_8_are_proven(made: Bench, proof: Path) -> None:
    with closing(sqlite3.connect(made.journal.path / "journal.db")) as connection, connection:
        connection.execute("UPDATE events SET key = CAST(x'fffe22' AS TEXT) WHERE seq = 4")
    prove(made, proof, "--force")
    assert told("check", proof)["holds"]


def test_events_that_come_later_make_the_same_tree_grow(made: Bench, proof: Path) -> None:
    before = heads(proof)
    assert heads(prove(made, proof, "--force")) == before
    made.event("epoch_end", {"epoch": 3}, "3")
    assert heads(prove(made, proof, "--force")) != before


def test_a_journal_restored_from_a_mirror_has_the_same_heads(made: Bench, proof: Path, tmp_path: Path) -> None:
    made.writer.start_session(made.run.id, None)
    mirror, other = tmp_path / "drive", tmp_path / "other"
    assert run("mirror", mirror, "--journal", made.journal.path).exit_code == 0
    assert run("restore", mirror, "--journal", other).exit_code == 0
    assert run("prove", "run", "-o", tmp_path / "other.proof", "--journal", other).exit_code == 0
    assert heads(tmp_path / "other.proof") == heads(proof)
    assert run("check", proof, "--mirror", mirror).exit_code == 0
    assert "Witnessed by the mirror: 6 of 6 events are the same" in run("check", proof, "--mirror", mirror).output


def test_a_mirror_tells_that_the_journal_was_rewritten_with_the_key(made: Bench, proof: Path, tmp_path: Path) -> None:
    """Whoever rewrites the journal has the key, too; the proof holds but for the mirror, which they cannot write."""
    mirror = tmp_path / "drive"
    run("mirror", mirror, "--journal", made.journal.path)
    with closing(sqlite3.connect(made.journal.path / "journal.db")) as connection, connection:
        connection.execute(
            "UPDATE events SET payload = replace(payload, '0.5', '0.9') WHERE kind = 'training_complete'"
        )
    prove(made, proof, "--force")
    assert run("check", proof).exit_code == 0
    done = run("check", proof, "--mirror", mirror)
    assert (done.exit_code, "the mirror has another content of event 6 (training_complete 1)" in done.output) == (
        1,
        True,
    )


def test_a_mirror_that_lags_is_no_witness_of_the_rest(made: Bench, proof: Path, tmp_path: Path) -> None:
    mirror = tmp_path / "drive"
    run("mirror", mirror, "--journal", made.journal.path)
    made.event("epoch_end", {"epoch": 3}, "3")
    prove(made, proof, "--force")
    done = run("check", proof, "--mirror", mirror)
    assert (done.exit_code, "the mirror has 6 of its 7 events" in done.output) == (1, True)


def altered(stored: bytes) -> bytes:
    return gzip.compress(gzip.decompress(stored).replace(b"0.5", b"0.9"), mtime=0)


def under_a_right_name(stored: bytes) -> bytes:
    """Return a segment as it was made, but for a line that is no event."""
    first, *lines = gzip.decompress(stored).split(b"\n")
    return gzip.compress(b"\n".join([first, b"{}", *lines[1:]]), mtime=0)


@pytest.mark.parametrize(
    ("harm", "same", "why"),
    [
        (lambda _: b"", 0, "it is not whole"),
        (lambda stored: stored[:-9], 0, "it is not whole"),
        (altered, 0, "its content is not what its name says"),
        (under_a_right_name, 5, "1 of its lines are no events"),
    ],
)
def test_a_mirror_that_is_damaged_is_not_taken_for_one_without_the_run(
    made: Bench, tmp_path: Path, harm: Callable[[bytes], bytes], same: int, why: str
) -> None:
    proof = prove(made, tmp_path / "run.proof")
    mirror = tmp_path / "drive"
    run("mirror", mirror, "--journal", made.journal.path)
    [segment] = (mirror / "runs").rglob("*.jsonl.gz")
    content = harm(segment.read_bytes())
    segment.unlink()
    if harm is under_a_right_name:
        digest = sha256(gzip.decompress(content)).hexdigest()[:32]
        segment = segment.with_name(f"1-6-{digest}.jsonl.gz")
    segment.write_bytes(content)
    done = run("check", proof, "--mirror", mirror)
    assert (done.exit_code, f"! in the mirror, {segment.relative_to(mirror)} is damaged: {why}" in done.output) == (
        1,
        True,
    )
    assert f"! what can be read of the mirror has {same} of its 6 events\n" in done.output


def test_a_mirror_without_the_run_is_not_said_to_be_damaged(made: Bench, proof: Path, tmp_path: Path) -> None:
    with bench(tmp_path / "other") as other:
        run("mirror", tmp_path / "drive", "--journal", other.journal.path)
    done = run("check", proof, "--mirror", tmp_path / "drive")
    assert (done.exit_code, "! the mirror has 0 of its 6 events\n" in done.output) == (1, True)
    assert "damaged" not in done.output


def test_of_a_mirror_whose_damage_nothing_is_lost_by_it_is_said_all_the_same(
    made: Bench, proof: Path, tmp_path: Path
) -> None:
    """A segment that was merged from others is damaged, and they are there, too."""
    mirror = tmp_path / "drive"
    run("mirror", mirror, "--journal", made.journal.path)
    [segment] = (mirror / "runs").rglob("*.jsonl.gz")
    segment.with_name(f"1-7-{'0' * 32}.jsonl.gz").write_bytes(b"torn")
    done = run("check", proof, "--mirror", mirror)
    assert (done.exit_code, "6 of 6 events are the same there" in done.output) == (0, True), done.output
    assert "Parts of it are damaged; `mirror --check` names them." in done.output


def test_without_cryptography_it_is_unsigned_and_says_so(
    made: Bench, proof: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("uploader.proof.ed25519.find_spec", lambda name: None)
    done = run("prove", "run", "-o", proof, "--journal", made.journal.path, "--force")
    assert (done.exit_code, "pip install 'offline-uploader[proof]'" in done.output) == (0, True)
    assert "pip install" in run("check", proof).output
    monkeypatch.undo()
    done = run("check", proof)
    assert (done.exit_code, "nobody has signed it" in done.output) == (1, True)


def test_a_run_that_is_not_there_is_said(made: Bench, tmp_path: Path) -> None:
    done = run("prove", "nope", "-o", tmp_path / "x", "--journal", made.journal.path)
    assert (done.exit_code, "'nope' fits no run" in done.output) == (2, True)
    assert rows(made.journal.path, "SELECT count(*) FROM events") == [(6,)]
