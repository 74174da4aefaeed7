from __future__ import annotations

import threading
from dataclasses import replace

from support.clocks import Clock

from uploader.delivery.heartbeats import Heartbeats
from uploader.errors import Unreachable
from uploader.platforms.base import RunIdentity

ONE, TWO = (RunIdentity(name, "p", name, {"modelId": name}) for name in ("one", "two"))


class Heart:
    """A platform that counts heartbeats; the third, fifth, … fail."""

    heartbeat_seconds = 300.0

    def __init__(self) -> None:
        self.heard: list[tuple[str, str | None]] = []
        self.hold = threading.Event()
        self.hold.set()
        self.begun = threading.Event()
        self._changed = threading.Condition()

    def wait_for(self, beats: int) -> None:
        with self._changed:
            assert self._changed.wait_for(lambda: len(self.heard) >= beats, 60)

    def heartbeat(self, identity: RunIdentity, agent_id: str | None) -> str | None:
        self.begun.set()
        self.hold.wait(60)
        with self._changed:
            self.heard.append((identity.run_uuid, agent_id))
            self._changed.notify_all()
        if len(self.heard) % 3 == 0:
            raise Unreachable("away")
        return f"agent of {identity.run_uuid}"


def test_each_living_run_beats_every_interval_under_its_agents_id() -> None:
    heart, clock = Heart(), Clock()
    heartbeats = Heartbeats(heart, "heartbeats", clock)
    for beats in range(1, 6):
        for _ in range(3):
            heartbeats.keep([ONE])
        heart.wait_for(beats)
        clock.now += 299
        heartbeats.keep([ONE])
        clock.now += 1
    heartbeats.close(60)
    assert heart.heard == [("one", None)] + [("one", "agent of one")] * 4


def test_a_run_that_ended_beats_no_more_and_one_that_returns_at_once() -> None:
    heart, clock = Heart(), Clock()
    heartbeats = Heartbeats(heart, "heartbeats", clock)
    heartbeats.keep([ONE, TWO])
    heart.wait_for(2)
    heartbeats.keep([TWO])
    clock.now += 1000
    heartbeats.keep([TWO])
    heartbeats.keep([ONE, TWO])
    heartbeats.close(60)
    assert [run for run, _ in heart.heard] == ["one", "two", "two", "one"]


def test_a_run_that_cannot_beat_stops_no_other() -> None:
    class Choosy(Heart):
        def heartbeat(self, identity: RunIdentity, agent_id: str | None) -> str | None:
            identity.ids["modelId"]
            return super().heartbeat(identity, agent_id)

    heart = Choosy()
    heartbeats = Heartbeats(heart, "heartbeats", Clock())
    heartbeats.keep([replace(ONE, ids={}), TWO])
    heart.wait_for(1)
    heartbeats.close(60)
    assert heart.heard == [("two", None)]


def test_none_is_sent_late() -> None:
    heart, clock = Heart(), Clock()
    heart.hold.clear()
    heartbeats = Heartbeats(heart, "heartbeats", clock)
    heartbeats.keep([ONE])
    heartbeats.keep([ONE, TWO])
    clock.now += 300
    heart.hold.set()
    heartbeats.close(60)
    assert ("two", None) not in heart.heard


def test_none_is_sent_of_a_run_that_ended_while_its_own_waited() -> None:
    heart = Heart()
    heart.hold.clear()
    heartbeats = Heartbeats(heart, "heartbeats", Clock())
    heartbeats.keep([ONE, TWO])
    assert heart.begun.wait(60)
    heartbeats.keep([ONE])
    heart.hold.set()
    heartbeats.close(60)
    assert heart.heard == [("one", None)]
