"""Kinds of events, and roles of checkpoints, that more than one room has to know."""

from __future__ import annotations

REGISTRATION = "training_started"
"""Also the kind of the delivery that makes a run known to a platform."""
COMPLETE = "training_complete"
FAILED = "training_failed"
MILESTONES = (REGISTRATION, COMPLETE, FAILED)
"""Tell in which state a run is."""
INTERRUPTED = "interrupted"
"""Tells that a training's process died before its end."""

CHECKPOINT = "checkpoint"
CONSOLE = "console_output"

GIVEN_UP = "given_up"
"""Tells what of a run was given up, and why."""

FINAL = "final"
"""Role of the checkpoint that a training ends with; it is never given up for a newer one."""
