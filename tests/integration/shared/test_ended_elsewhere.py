"""How a training ended is known by what came in of it, not by its process, be it on the machine that drains."""

from __future__ import annotations

from support.journals import change, dead_pid
from support.recordings import Recordings, Training
from support.scripted_server import ScriptedServer

from journal.collecting.collecting import Collecting


def collected(node: Recordings, shared: Recordings) -> Training:
    """Record the first epoch of a training, and collect it; then its process is gone."""
    training = node.begin()
    training.started()
    training.epoch(0)
    Collecting(node.journal, shared.journal).step()
    change(shared.journal.path, "UPDATE sessions SET pid = ?", dead_pid())
    change(node.journal.path, "UPDATE sessions SET pid = ?", dead_pid())
    return training


def told(shared: Recordings, server: ScriptedServer) -> list[str]:
    assert shared.drain(server.url).exit_code == 0
    return [body["event"] for body in server.bodies()]


def test_a_training_that_ended_after_it_was_collected_is_not_told_as_failed(
    node: Recordings, shared: Recordings, server: ScriptedServer
) -> None:
    training = collected(node, shared)
    training.complete()
    training.end()

    assert told(shared, server) == ["training_started", "epoch_end"]
    Collecting(node.journal, shared.journal).step()
    assert told(shared, server) == ["training_started", "epoch_end", "training_complete"]
    assert [run.state for run in shared.journal.report()] == ["finished"]


def test_one_that_was_killed_is_told_by_what_its_node_knows(
    node: Recordings, shared: Recordings, server: ScriptedServer
) -> None:
    collected(node, shared)
    assert told(shared, server)[-1] == "epoch_end"
    node.journal.note_interrupted()  # as `collect` does
    Collecting(node.journal, shared.journal).step()
    assert told(shared, server)[-1] == "training_failed"
