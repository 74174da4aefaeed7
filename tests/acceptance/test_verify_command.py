"""`verify` on the command line: what it says, its exit codes, and what `--fix` and `prune --verified` make of it."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result
from soaks import planted
from support.journals import rows
from support.recordings import KEY, Recordings, recordings
from support.verified import trained

import uploader
from journal.errors import NoJournal
from journal.writing.fallback import FallbackFile
from uploader.__main__ import main
from uploader.platforms.base import RunIdentity
from uploader.platforms.reading_back import Shown
from uploader.platforms.ultralytics.client import UltralyticsPlatform
from uploader.server.running import RunningServer, running


@pytest.fixture
def server(tmp_path: Path) -> Iterator[RunningServer]:
    with running(tmp_path / "platform", api_key=KEY) as running_server:
        yield running_server


@pytest.fixture
def at(tmp_path: Path, server: RunningServer, monkeypatch: pytest.MonkeyPatch) -> Iterator[Recordings]:
    monkeypatch.setenv("UPLOADER_FALLBACK", str(tmp_path / "fallback"))
    monkeypatch.setenv("UPLOADER_JOURNAL", str(tmp_path / "journal"))
    monkeypatch.setenv("ULTRALYTICS_PLATFORM_URL", server.url)
    monkeypatch.setenv("ULTRALYTICS_API_KEY", KEY)
    with recordings(tmp_path / "journal") as opened:
        yield opened


def run(*arguments: str) -> Result:
    return CliRunner().invoke(main, list(arguments), catch_exceptions=False)


def as_json(*arguments: str) -> dict[str, Any]:
    result = run(*arguments, "--json")
    shown: dict[str, Any] = json.loads(result.output)
    assert shown.get("exit_code", 0) == result.exit_code
    return shown


def model_of(at: Recordings, name: str) -> str:
    query = "SELECT json_extract(t.ids, '$.modelId') FROM targets t JOIN runs r ON r.id = t.run_id WHERE r.name = ?"
    return str(rows(at.journal.path, query, name)[0][0])


def test_what_has_arrived_is_proven_and_what_is_lost_is_named_and_sent_again(
    at: Recordings, server: RunningServer
) -> None:
    for name in ("one", "two"):
        trained(at, name)
    unsent = run("verify")
    assert (unsent.exit_code, "goes to any platform yet" in unsent.output) == (2, True)
    assert run("drain").exit_code == 0

    proven = run("verify")
    assert proven.exit_code == 0, proven.output
    assert "demo/one" in proven.output
    assert "  proven: registration, 4 epochs, 8 console chunks, results, plots, checkpoint, completion" in proven.output
    assert proven.output.splitlines()[-1] == "2 of 2 runs proven"
    deep = run("verify", "one", "--deep")
    assert (deep.exit_code, "checkpoint (sha256)" in deep.output) == (0, True)

    assert planted.plant(server.data, model_of(at, "two"), "an epoch is lost", 1)
    lost = run("verify")
    assert lost.exit_code == 4
    assert "missing: epoch" in lost.output
    assert [as_json("verify", "two")["runs"][0][word] for word in ("missing", "waits")] == [1, 0]
    assert "it was taken, and is not there" in lost.output
    assert lost.output.splitlines()[-1] == "1 of 2 runs proven; 1 with something missing or different; look at demo/two"

    fixed = run("verify", "--fix")
    assert fixed.exit_code == 4
    assert fixed.output.splitlines()[-1].startswith("1 item sent again by the next `")
    assert as_json("drain")["destinations"][0]["delivered"] == 1
    assert run("verify").exit_code == 0
    assert as_json("verify", "--fix")["runs"][1]["sent_again"] == 0


def test_what_waits_to_be_sent_is_missing(at: Recordings) -> None:
    training = trained(at, "one")
    assert run("drain").exit_code == 0
    training.epoch(4)
    shown = as_json("verify")
    assert shown["exit_code"] == 4
    assert shown["runs"][0]["findings"] == [{"item": "epoch 5", "word": "missing", "why": "it was not sent yet"}]
    assert [shown["runs"][0][word] for word in ("missing", "waits", "different")] == [1, 1, 0]
    assert as_json("verify", "--fix")["runs"][0]["sent_again"] == 0
    training.event("epoch_end", {"epoch": 0, "metrics": {"loss": 7.0}}, "0")
    lines = run("verify").output
    assert "2 not there yet" in lines
    assert "  not there yet: epoch 5: it was not sent yet" in lines
    assert "  not there yet: epoch 1: it was not sent yet, and an earlier one is there" in lines
    assert "0 of 1 run proven; 1 with something that waits to be sent" in lines


def test_what_only_waits_is_no_trouble_once_that_was_verified_and_what_is_lost_beside_it_is(
    at: Recordings, server: RunningServer, tmp_path: Path
) -> None:
    training = trained(at, "one")
    assert run("drain").exit_code == 0
    training.epoch(4)
    beside = FallbackFile([tmp_path / "fallback"], at.journal.path, training.run)
    beside.append("epoch_end", {"epoch": 5, "metrics": {}}, "5")
    beside.close()
    training.end()
    assert as_json("verify")["runs"][0]["waits"] == 2
    shown = run("status").output
    assert ("1 waiting" in shown, "trouble" in shown, "missing" in shown, "--fix" in shown) == (
        True,
        False,
        False,
        False,
    )
    [whole] = as_json("status")["runs"]
    assert (whole["standing"], whole["targets"][0]["verification"]["missing"]) == ("waiting", 0)
    assert "what waited was not there yet" in run("status", "--run", "one").output
    assert "what waited was not there yet" in run("show", "one").output
    assert "not-there" not in {one["code"] for one in as_json("doctor")["findings"]}
    assert planted.plant(server.data, model_of(at, "one"), "an epoch is lost", 1)
    assert [as_json("verify")["runs"][0][word] for word in ("missing", "waits")] == [3, 2]
    shown = run("status").output
    assert ("1 in trouble" in shown, "1 missing, such as epoch" in shown) == (True, True)
    assert "it was taken, and is not there" in shown
    assert f"verify {training.run.id[:8]} --fix" in " ".join(shown.split())
    assert f"verify {training.run.id} --fix" in " ".join(run("doctor").output.split())
    trained(at, "two")
    assert run("drain").exit_code == 0
    for name in ("one", "two"):
        assert planted.plant(server.data, model_of(at, name), "the model is lost", 1)
    assert run("verify").exit_code == 4
    assert "verify RUN --fix" in " ".join(run("doctor").output.split())


def test_results_that_were_never_sent_are_missing_whatever_figures_the_platform_shows(at: Recordings) -> None:
    training = at.begin("one")
    training.started(epochs=1)
    training.event("epoch_end", {"epoch": 0, "metrics": {"train/loss": 0.5, "metrics/mAP50(B)": 0.25}}, "0")
    assert run("drain").exit_code == 0
    training.event("training_complete", {"results": {"metrics": {"metrics/mAP50(B)": 0.25}, "bestEpoch": 0}})
    findings = {one["item"]: (one["word"], one["why"]) for one in as_json("verify")["runs"][0]["findings"]}
    assert findings == dict.fromkeys(("results", "completion"), ("missing", "it was not sent yet"))


def test_a_platform_that_cannot_be_read_back_proves_nothing(
    at: Recordings, server: RunningServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    trained(at, "one")
    trained(at, "two")
    assert run("drain").exit_code == 0
    monkeypatch.setenv("ULTRALYTICS_API_KEY", "ul_another_key")
    refused = as_json("verify")
    assert refused["exit_code"] == 5
    advice = "(set ULTRALYTICS_API_KEY to a key that this platform accepts and that may read)"
    assert advice in run("verify").output
    assert refused["runs"][0]["error"].endswith(advice)
    monkeypatch.delenv("ULTRALYTICS_API_KEY")
    assert run("verify").exit_code == 5
    monkeypatch.setenv("ULTRALYTICS_API_KEY", KEY)
    with at.journal.begin() as connection:
        connection.exec_driver_sql("UPDATE destinations SET base_url = 'http://127.0.0.1:9'")
    monkeypatch.setenv("ULTRALYTICS_PLATFORM_URL", "http://127.0.0.1:9")
    asked: list[str] = []

    def counted(platform: UltralyticsPlatform, identity: RunIdentity) -> Shown:
        asked.append(identity.name)
        return read_back(platform, identity)

    read_back = UltralyticsPlatform.read_back
    monkeypatch.setattr(UltralyticsPlatform, "read_back", counted)
    gone = as_json("verify")
    assert asked == ["one"]
    assert (gone["exit_code"], [one["proven"] for one in gone["runs"]]) == (3, [0, 0])
    assert all("cannot be reached" in one["error"] for one in gone["runs"])


def test_a_run_that_has_gone_on_elsewhere_cannot_be_read_back(at: Recordings) -> None:
    """Its model shows what a later session has sent, of which this journal knows nothing."""
    trained(at, "one")
    assert run("drain").exit_code == 0
    with at.journal.begin() as connection:
        connection.exec_driver_sql("UPDATE targets SET ids = json_set(ids, '$.isOlder', json('true'))")
    gone_on = as_json("verify")
    assert (gone_on["exit_code"], gone_on["runs"][0]["proven"], gone_on["runs"][0]["is_right"]) == (3, 0, False)
    assert {finding["word"] for finding in gone_on["runs"][0]["findings"]} == {"unreadable"}
    assert "has gone on with a later session" in run("verify").output


def test_resend_refills_a_platform_that_has_lost_its_data(at: Recordings, server: RunningServer) -> None:
    trained(at, "one")
    assert run("drain").exit_code == 0
    assert planted.plant(server.data, model_of(at, "one"), "the model is lost", 1)
    lost = run("verify")
    assert (lost.exit_code, "has no model of this run" in lost.output) == (4, True)
    assert run("resend", "one").exit_code == 0
    assert run("drain").exit_code == 0
    assert run("verify", "--deep").exit_code == 0


def test_only_what_is_proven_is_pruned_on_that_word(at: Recordings, server: RunningServer) -> None:
    for name in ("damaged", "proven", "without weights"):
        trained(at, name)
    assert run("drain").exit_code == 0
    assert run("verify", "--deep").exit_code == 0  # before anything was lost there
    assert planted.plant(server.data, model_of(at, "damaged"), "a metric is changed", 1)
    assert planted.plant(server.data, model_of(at, "without weights"), "the weights are swapped", 1)
    assert as_json("prune", "--verified").items() >= {"runs": 1, "unproven": 2}.items()
    left = rows(at.journal.path, "SELECT DISTINCT r.name FROM events e JOIN runs r ON r.id = e.run_id ORDER BY 1")
    assert left == [("damaged",), ("without weights",)]
    pruned = run("verify", "proven")
    assert pruned.exit_code == 0
    assert "were pruned here" in pruned.output
    assert "proven, as far as the journal still has it" in pruned.output
    kept = [one for one in at.journal.verifications() if one.is_proven]
    assert [one.proven for one in kept] == [17]  # of what was there when it was proven


def test_a_run_of_which_something_cannot_be_read_back_is_not_pruned(
    at: Recordings, monkeypatch: pytest.MonkeyPatch
) -> None:
    trained(at, "one")
    assert run("drain").exit_code == 0

    def without_plots(platform: UltralyticsPlatform, identity: RunIdentity) -> Shown:
        shown = read_back(platform, identity)
        items = {place: values for place, values in shown.items.items() if place[0] != "plots"}
        return replace(shown, items=items, fields={kind: of for kind, of in shown.fields.items() if kind != "plots"})

    read_back = UltralyticsPlatform.read_back
    monkeypatch.setattr(UltralyticsPlatform, "read_back", without_plots)
    assert "proven, as far as this platform shows it" in run("verify", "--deep").output
    assert as_json("prune", "--verified").items() >= {"runs": 0, "unproven": 1}.items()


def test_of_a_pruned_run_nothing_is_said_that_nobody_knows_any_more(at: Recordings, server: RunningServer) -> None:
    trained(at, "one").end("complete")
    assert run("drain").exit_code == 0
    assert run("prune", "--older-than", "0s").exit_code == 0
    row, *_ = [line for line in run("status").output.splitlines() if "demo/one" in line]
    assert row.split()[:3] == ["demo/one", "finished", "pruned"]
    assert "0 delivered since it was pruned" in run("status", "--run", "one").output
    shown = run("show", "one").output
    assert ("what was settled before was pruned" in shown, "those of before were pruned" in shown) == (True, True)
    assert ("nothing yet" in shown, "no epochs were recorded" in shown) == (False, False)
    assert "what demo/one had printed was pruned here" in run("logs", "one").output
    never = run("wait", "one", "--until", "metrics/mAP50(B)>=0.8")
    assert (never.exit_code, "its epochs were pruned here, so nobody can tell any more" in never.output) == (6, True)
    assert planted.plant(server.data, model_of(at, "one"), "the model is lost", 1)
    assert as_json("verify", "--fix")["runs"][0]["sent_again"] == 0
    [finding] = json.loads(run("doctor", "--json").output)["findings"]
    told = [run("status").output, run("wait", "one", "--until", "verified").output, finding["next_step"]]
    for each in told:
        assert ("nothing here can send those again" in " ".join(each.split()), "--fix" in each) == (True, False)


def test_what_a_platform_has_lost_since_it_was_verified_is_not_pruned(at: Recordings, server: RunningServer) -> None:
    trained(at, "one")
    assert run("drain").exit_code == 0
    assert run("verify", "--deep").exit_code == 0
    assert planted.plant(server.data, model_of(at, "one"), "the model is lost", 1)
    assert as_json("prune", "--verified").items() >= {"runs": 0, "unproven": 1}.items()
    assert run("verify").exit_code == 4


def test_the_same_in_code(at: Recordings, server: RunningServer, tmp_path: Path) -> None:
    trained(at, "one")
    assert run("drain").exit_code == 0
    [found] = uploader.verify("one", deep=True)
    assert isinstance(found, uploader.Verified)
    assert (found.is_right, found.counts["proven"] > 10, found.findings, found.failure) == (True, True, [], None)
    [kept] = at.journal.verifications()
    assert (kept.is_proven, kept.is_deep, kept.proven) == (True, True, found.counts["proven"])
    with pytest.raises(NoJournal):
        uploader.verify(journal=tmp_path / "nowhere")
