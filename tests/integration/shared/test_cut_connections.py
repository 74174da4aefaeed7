"""A drain of a shared journal whose connections are cut one message later each, before or after the server had it."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from support.journals import rows, url_of
from support.machines import machines
from support.postgres_proxy import cut_at_each_message
from support.recordings import Recordings
from support.scripted_server import ScriptedServer

from uploader.delivery import drain, outages

EPOCHS, MOST_CUTS = 4, 60


def test_what_was_confirmed_is_recorded_and_nothing_lost_or_doubled(
    shared: Recordings, server: ScriptedServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(drain, "TICK_SECONDS", 0.02)
    monkeypatch.setattr(outages, "LONGEST_SECONDS", 0.0)
    training = shared.begin()
    training.started(epochs=EPOCHS)
    for number in range(EPOCHS):
        training.console(number)
        training.epoch(number)
    training.complete()
    training.end()

    with cut_at_each_message(url_of(shared.journal), MOST_CUTS) as proxy, machines(tmp_path) as run:
        code, _, said = run("a", "drain", proxy.url, url=server.url)

    assert code == 0, said
    assert proxy.cuts > MOST_CUTS / 3
    assert "claimed by another drain" not in said
    states = rows(shared.journal.path, "SELECT state, count(*) FROM deliveries GROUP BY state")
    sent = [json.dumps(body, sort_keys=True) for body in server.bodies("/metrics")]
    assert states == [("delivered", len({*sent}))]
    assert len(sent) == len({*sent})  # what the platform has confirmed is held until it is recorded
