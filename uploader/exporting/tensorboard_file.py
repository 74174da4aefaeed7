"""A run's epochs as a folder that TensorBoard shows, written by TensorBoard's own library."""

from __future__ import annotations

from datetime import datetime
from pathlib import Path

from uploader.errors import SettingsError
from uploader.exporting.table_text import Columns

_NO_METRICS = frozenset({"epoch", "recorded_at"})


def write_events(columns: Columns, folder: Path) -> None:
    """Write each number of each epoch as a scalar: its step the epoch, its time that of the recording.

    Args:
        columns: The table.
        folder: The run's folder for TensorBoard; made if it is missing.

    Raises:
        SettingsError: TensorBoard is not installed.
        OSError: The folder cannot be written.
    """
    try:
        from tensorboard.compat.proto.event_pb2 import Event
        from tensorboard.compat.proto.summary_pb2 import Summary
        from tensorboard.summary.writer.event_file_writer import EventFileWriter
    except ImportError as error:
        raise SettingsError("this format is written by TensorBoard: `pip install tensorboard`, then again") from error
    writer = EventFileWriter(str(folder))
    for number, (epoch, recorded_at) in enumerate(zip(columns["epoch"], columns["recorded_at"], strict=True)):
        values = {name: column[number] for name, column in columns.items() if name not in _NO_METRICS}
        told = [Summary.Value(tag=name, simple_value=value) for name, value in values.items() if _is_number(value)]
        writer.add_event(Event(step=epoch, wall_time=_seconds(recorded_at), summary=Summary(value=told)))
    writer.close()


def _is_number(value: object) -> bool:
    return isinstance(value, (int, float)) and not isinstance(value, bool)


def _seconds(recorded_at: str) -> float:
    return datetime.fromisoformat(recorded_at.replace("Z", "+00:00")).timestamp()
