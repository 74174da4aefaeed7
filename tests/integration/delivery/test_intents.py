"""What a person wants done on a platform: recorded without a network, done once all else has arrived, and once."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner
from support.asking import asked
from support.journals import IN_A_FILE, rows
from support.platform_api import Api
from support.recordings import KEY, Recordings
from support.scripted_server import Reply, Request, ScriptedServer, in_front_of, received, scripted_server

from uploader.__main__ import main
from uploader.delivery.timing import Timing
from uploader.errors import SettingsError
from uploader.intents import Wanted, convert, describe
from uploader.platforms.planned_intents import AFTER_TRAINING
from uploader.platforms.ultralytics.carrying_out import PATIENCE
from uploader.server.running import running

ON_BOTH_ENGINES = True
QUICK = Timing(first_wait=0.01, shortest_wait=0.01)
INTENTS = "('model_detail', 'conversion')"


@pytest.fixture
def api(tmp_path: Path) -> Iterator[Api]:
    with running(tmp_path / "platform", api_key=KEY) as server:
        yield Api(server.url, server.api_key)


def want(journals: Recordings, **details: Any) -> Wanted:
    with asked(journals) as folder:
        return describe("train", journal=folder, **details)


def order(journals: Recordings, **options: Any) -> Wanted:
    with asked(journals) as folder:
        return convert("train", "onnx", journal=folder, **options)


def command(folder: Path, *arguments: str) -> str:
    result = CliRunner().invoke(main, [*arguments, "--journal", str(folder)])
    assert result.exit_code == 0, result.output
    return result.output


def states(journals: Recordings) -> list[tuple[str, str, str]]:
    query = f"SELECT kind, role, state FROM deliveries WHERE kind IN {INTENTS} ORDER BY id"
    return rows(journals.journal.path, query)


def exports(api: Api, name: str = "train") -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = api.get(f"/api/models/local/demo/{name}/exports")["exports"]
    return found


def edits(server: ScriptedServer) -> list[Any]:
    """Return what models were changed to; the heads of proofs are told beside."""
    found = [each.json() for each in server.requests if each.method == "PATCH"]
    return [each for each in found if "metadata" not in each]


def test_what_is_wanted_offline_is_done_by_the_drain_and_shown(journals: Recordings, api: Api) -> None:
    journals.whole()
    wanted = ["--description", "Night shift", "--license", "MIT", "--tag", "night"]
    with asked(journals) as folder:
        assert "sets description, license, tags of demo/train" in command(folder, "describe", "train", *wanted)
        ordered = command(folder, "convert", "latest", "onnx", "imgsz=96", "half=True")
    assert "orders a conversion into onnx half=true imgsz=96 of" in ordered
    place = journals.journal.place
    assert "asked for" in (shown := command(place, "show", "train"))
    assert shown.count("not planned yet") >= 4
    assert journals.drain(api.url).exit_code == 0
    model = api.model()
    assert (model["description"], model["license"], model["metadata"]["tags"]) == ("Night shift", "MIT", ["night"])
    [made] = exports(api)
    assert (made["format"], made["args"]) == ("onnx", {"imgsz": 96, "half": True})
    shown_intents = json.loads(command(place, "show", "train", "--json"))["intents"]
    assert [(each["kind"], each["key"], [*each["deliveries"].values()]) for each in shown_intents] == [
        ("model_detail", "description", ["delivered"]),
        ("model_detail", "license", ["delivered"]),
        ("model_detail", "tags", ["delivered"]),
        ("conversion", "onnx half=true imgsz=96", ["delivered"]),
    ]
    page = api.request("GET", "/data/run?key=local/demo/train").text
    assert all(text in page for text in ("Night shift", "MIT", "night", "onnx"))


def test_it_waits_for_the_run_and_for_what_was_wanted_before(journals: Recordings, server: ScriptedServer) -> None:
    journals.whole()
    want(journals, description="x")
    order(journals)
    journals.drain(server.url)
    planned = rows(journals.journal.path, "SELECT kind FROM deliveries ORDER BY stage, id")
    assert [kind for (kind,) in planned[-3:]] == ["training_complete", "model_detail", "conversion"]
    assert rows(journals.journal.path, "SELECT max(stage) FROM targets")[0][0] < AFTER_TRAINING


def test_the_same_twice_is_done_once_and_the_newest_alone_is_sent(journals: Recordings, api: Api) -> None:
    journals.whole()
    assert want(journals, description="first").new == ("description",)
    again = want(journals, description="first", license="MIT")
    assert (again.new, again.known) == (("license",), ("description",))
    want(journals, description="second")
    for _ in range(2):
        order(journals)
    with scripted_server(in_front_of(api.url)) as between:
        assert journals.drain(between.url).exit_code == 0
        assert edits(between) == [{"license": "MIT"}, {"description": "second"}]
        assert len(exports(api)) == 1
        assert [state for _, role, state in states(journals) if role == "description"] == ["superseded", "delivered"]
        want(journals, description="first")  # what was wanted before is wanted again
        journals.drain(between.url)
        assert api.model()["description"] == "first"


@IN_A_FILE  # a node orders again where it has trained further
def test_after_further_training_the_same_conversion_is_ordered_again(journals: Recordings, api: Api) -> None:
    training = journals.whole()
    order(journals)
    assert journals.drain(api.url).exit_code == 0
    resumed = journals.begin(run_id=training.run.id)
    resumed.started(epochs=4)
    resumed.epoch(3)
    resumed.checkpoint(b"better")
    resumed.complete()
    resumed.end()
    assert order(journals).new == ("onnx",)
    assert journals.drain(api.url).exit_code == 0
    assert len(exports(api)) == 2


def test_a_conversion_waits_for_the_end_of_the_training(journals: Recordings, api: Api) -> None:
    training = journals.begin()
    training.started(epochs=1)
    training.epoch(0)
    order(journals)
    want(journals, description="still running")
    assert journals.drain(api.url).exit_code == 3
    assert api.model()["status"] == "running"
    assert rows(journals.journal.path, "SELECT attempts FROM deliveries WHERE kind = 'conversion'") == [(0,)]
    assert exports(api) == []
    training.checkpoint(b"weights")
    training.complete()
    training.end()
    assert journals.drain(api.url).exit_code == 0
    assert len(exports(api)) == 1
    assert api.model()["description"] == "still running"


def test_what_is_wanted_never_keeps_the_training_waiting(journals: Recordings, server: ScriptedServer) -> None:
    training = journals.begin()
    training.started()
    want(journals, description="x")
    journals.drain(server.url, timing=Timing(first_wait=1000.0))
    server.script = lambda request: Reply(503, {}) if request.method in {"GET", "PATCH"} else received(request)
    training.epoch(0)
    training.complete()
    journals.drain(server.url, timing=Timing(first_wait=1000.0))
    assert [body["event"] for body in server.bodies("metrics")][-2:] == ["epoch_end", "training_complete"]


@pytest.mark.once_on_postgres
@pytest.mark.parametrize("is_handled", [True, False])
def test_conversions_that_differ_in_their_arguments_are_all_ordered(
    journals: Recordings, tmp_path: Path, is_handled: bool
) -> None:
    journals.whole()
    for args in ({"imgsz": 640}, {"imgsz": 320, "half": True}, {}):
        order(journals, args=args)
    again = order(journals, args={"half": True, "imgsz": 320})
    assert (again.new, again.known) == ((), ("onnx half=true imgsz=320",))
    lost: list[bytes] = []
    with running(tmp_path / "platform", api_key=KEY, idempotency=False) as platform:
        behind = in_front_of(platform.url)

        def script(request: Request) -> Reply:
            if not request.path.endswith("/exports") or request.method != "POST" or request.body in lost:
                return behind(request)
            lost.append(request.body)
            if is_handled:
                behind(request)
            return Reply(reset=True)

        with scripted_server(script) as between:
            assert journals.drain(between.url, timing=QUICK, max_time=600.0).exit_code == 0
        assert len(lost) == 3
        ordered = [each.get("args", {}) for each in exports(Api(platform.url, KEY))]
    assert sorted(ordered, key=len) == [{}, {"imgsz": 640}, {"half": True, "imgsz": 320}]


@pytest.mark.once_on_postgres
@pytest.mark.parametrize("idempotency", [True, False])
def test_an_answer_that_is_lost_orders_nothing_twice(journals: Recordings, tmp_path: Path, idempotency: bool) -> None:
    journals.whole()
    order(journals)
    want(journals, tags=["a", "b"])
    lost: list[str] = []
    with running(tmp_path / "platform", api_key=KEY, idempotency=idempotency) as platform:
        behind = in_front_of(platform.url)

        def script(request: Request) -> Reply:
            reply = behind(request)
            is_first = request.method in {"PATCH", "POST"} and request.method + request.path not in lost
            if "/api/models/" in request.path and is_first:
                lost.append(request.method + request.path)
                return Reply(reset=True)
            return reply

        with scripted_server(script) as between:
            assert journals.drain(between.url, timing=QUICK, max_time=600.0).exit_code == 0
        assert len(lost) == 2
        api = Api(platform.url, KEY)
        assert len(exports(api)) == 1
        assert api.model()["metadata"]["tags"] == ["a", "b"]


def test_tags_leave_the_rest_of_the_metadata_as_it_is(journals: Recordings, api: Api) -> None:
    journals.whole()
    journals.drain(api.url)
    api.request("PATCH", "/api/models/local/demo/train", json={"metadata": {"owner": "me", "tags": ["old"]}})
    want(journals, tags=[" a ", "b", "a"])
    journals.drain(api.url)
    assert api.model()["metadata"] == {"owner": "me", "tags": ["a", "b"]}
    want(journals, tags=[])
    journals.drain(api.url)
    assert api.model()["metadata"] == {"owner": "me", "tags": []}


def test_a_wrong_key_keeps_it(journals: Recordings, api: Api) -> None:
    journals.whole()
    journals.drain(api.url)
    want(journals, description="x")
    assert journals.drain(api.url, api_key="ul_other").exit_code == 5
    assert [state for *_, state in states(journals)] == ["pending"]
    assert journals.drain(api.url).exit_code == 0
    assert api.model()["description"] == "x"


@pytest.mark.once_on_postgres
@pytest.mark.parametrize(
    ("reply", "attempts"),
    [
        (Reply(404, b"<html>nothing here</html>", {"Content-Type": "text/html"}), PATIENCE),
        (Reply(405, b""), PATIENCE),
        (Reply(405, {"error": "no such method"}), 1),
        (Reply(501, {"error": "not here"}), 1),
    ],
    ids=["page", "empty", "json", "not implemented"],
)
def test_a_platform_without_such_an_endpoint_refuses_it_for_good(
    journals: Recordings, api: Api, reply: Reply, attempts: int
) -> None:
    journals.whole()
    order(journals)
    behind = in_front_of(api.url)
    with scripted_server(lambda one: reply if "/exports" in one.path else behind(one)) as between:
        assert journals.drain(between.url, timing=QUICK, max_time=600.0).exit_code == 4
    found = rows(journals.journal.path, "SELECT kind, state, attempts, last_error FROM deliveries WHERE state = 'dead'")
    [(kind, _, tried, why)] = found
    assert (kind, tried) == ("conversion", attempts)
    assert str(reply.status) in why
    assert api.model()["status"] == "completed"


def test_hub_refuses_what_it_has_no_place_for_and_takes_the_rest(journals: Recordings, tmp_path: Path) -> None:
    journals.whole()
    want(journals, description="x")
    with running(tmp_path / "platform", api_key=KEY) as server:
        options = {"to": server.url, "platform": "hub"}
        assert journals.drain("", hub=server.url, **options).exit_code == 4
    dead = rows(journals.journal.path, "SELECT kind, last_error FROM deliveries WHERE state = 'dead'")
    assert [(kind, "HUB does nothing of this kind" in why) for kind, why in dead] == [("model_detail", True)]


@IN_A_FILE
@pytest.mark.parametrize(
    ("wanted", "why"),
    [
        ({}, "nothing is to be said"),
        ({"license": "WTFPL"}, "no licence 'WTFPL'"),
        ({"tags": ["ok", " "]}, "a tag has 1 to"),
        ({"tags": ["x" * 129]}, "a tag has 1 to"),
    ],
)
def test_what_no_platform_takes_is_refused_at_once(journals: Recordings, wanted: dict[str, Any], why: str) -> None:
    journals.whole()
    with pytest.raises(SettingsError, match=why):
        want(journals, **wanted)
    with pytest.raises(SettingsError, match="converts into no 'docx'"):
        convert("train", "docx", journal=journals.journal.path)
    assert rows(journals.journal.path, f"SELECT 1 FROM events WHERE kind IN {INTENTS}") == []


@IN_A_FILE
@pytest.mark.parametrize(
    ("argument", "why"),
    [
        ("imgsz=abc", "'imgsz' of a conversion is a whole number or a list of numbers"),
        ("imgsz=true", "'imgsz' of a conversion is"),
        ("half=1", "'half' of a conversion is true or false"),
        ("conf=NaN", "'conf' of a conversion is"),
        ("imgsz=[640,null]", "'imgsz' of a conversion is"),
        ("api_key=SECRETX", "takes no argument 'api_key'"),
        ("data=https://example.com/a.yaml?token=SECRETX", "'data' of a conversion is a name"),
    ],
)
def test_arguments_that_no_conversion_takes_are_refused_and_not_repeated(
    journals: Recordings, argument: str, why: str
) -> None:
    journals.whole()
    folder = str(journals.journal.path)
    result = CliRunner().invoke(main, ["convert", "train", "onnx", argument, "--journal", folder])
    assert (result.exit_code, why in " ".join(result.output.split())) == (2, True), result.output
    assert "SECRETX" not in result.output
    assert rows(journals.journal.path, f"SELECT 1 FROM events WHERE kind IN {INTENTS}") == []


@IN_A_FILE
def test_arguments_as_upstream_documents_them_are_taken(journals: Recordings) -> None:
    journals.whole()
    args = {"imgsz": [640, 480], "quantize": "w8a16", "workspace": 4, "data": "coco8.yaml", "nms": None, "conf": 0.2}
    [key] = convert("train", "engine", args=args, journal=journals.journal.path).new
    assert key.startswith('engine conf=0.2 data="coco8.yaml" imgsz=[640, 480]')


@IN_A_FILE
def test_a_text_is_one_tag(journals: Recordings) -> None:
    journals.whole()
    want(journals, tags="night")
    assert rows(journals.journal.path, "SELECT payload FROM events WHERE key = 'tags'") == [('{"tags":["night"]}',)]


@IN_A_FILE
def test_a_run_that_nobody_knows_gets_nothing(journals: Recordings) -> None:
    journals.whole()
    result = CliRunner().invoke(
        main, ["describe", "other", "--description", "x", "--journal", str(journals.journal.path)]
    )
    assert (result.exit_code, "fits no run" in result.output) == (2, True)


@IN_A_FILE
@pytest.mark.parametrize(
    "text",
    [
        "see https://me:s3cret-word@example.org/data",
        "data: https://bucket.example/a.zip?X-Amz-Signature=s3cret0123456789",
        "api_key=s3cret-0123456789",
        "made with hf_s3cretABCDEFGHIJKLMNOPQRSTUVWXYZ01",
        "with ul_s3cret0123456789abcdef",
    ],
)
def test_a_secret_in_what_is_wanted_is_refused_and_not_repeated(
    journals: Recordings, monkeypatch: pytest.MonkeyPatch, tmp_path: Path, text: str
) -> None:
    monkeypatch.setenv("ULTRALYTICS_API_KEY", "ul_s3cret0123456789abcdef")
    journals.whole()
    (tmp_path / "cars.zip").write_bytes(b"zip")
    place = str(journals.journal.path)
    said = (["describe", "train", "--description", text], ["describe", "train", "--tag", "night", "--tag", text])
    for words in (*said, ["dataset", "train", str(tmp_path / "cars.zip"), "--name", text]):
        result = CliRunner().invoke(main, [*words, "--journal", place])
        assert (result.exit_code, "looks like a key" in result.output) == (2, True), result.output
        assert "s3cret" not in result.output
    assert rows(journals.journal.path, "SELECT count(*) FROM events WHERE kind IN ('model_detail', 'dataset')") == [
        (0,)
    ]


@IN_A_FILE
def test_what_only_speaks_of_keys_is_taken(journals: Recordings) -> None:
    journals.whole()
    text = "Tokens of the key-point head; the secret is patience. Passwords: none; see https://example.org/a?b=c#d"
    assert want(journals, description=text, tags=["key-points", "token mixer"]).new == ("description", "tags")
