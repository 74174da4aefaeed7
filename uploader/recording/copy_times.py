"""When a checkpoint file is copied. Pure; the clock is the caller's.

The trainer rewrites its files at every save, and a platform is sent a live run's checkpoint every 15 minutes at most.
So most copies would be replaced before anybody wanted them, and on a disk that cannot share blocks they cost as much
writing as the trainer's own. The trainer's file is there meanwhile: if the process dies, a drain takes it in.
"""

from __future__ import annotations

from journal.kinds import FINAL

COPY_SECONDS = 300.0
"""A copy of each role is at most this much older than the trainer's file, where a copy is a second writing of it."""


class CopyTimes:
    """The times at which files of one training are due to be copied."""

    def __init__(self, *, is_mirrored: bool, every: float = COPY_SECONDS) -> None:
        """Nothing was copied yet.

        Args:
            is_mirrored: Whether each copy is handed over to a mirror, as the machine may vanish.
            every: Seconds between two copies of a role.
        """
        self._is_mirrored = is_mirrored
        self._every = every
        self._is_free = False
        self._copied_at: dict[str, float] = {}

    def due(self, role: str, now: float, *, is_last: bool, is_elsewhere: bool) -> float:
        """Return when a file that was just saved is to be copied.

        Args:
            role: `last`, `best` or `final`.
            now: The time.
            is_last: Whether the trainer goes on to change the only file that has these weights.
            is_elsewhere: Whether the trainer's file is on another disk than the copies, which may vanish alone.
        """
        if role == FINAL or is_last or is_elsewhere or self._is_mirrored or self._is_free:
            return now
        return max(now, self._copied_at.get(role, now - self._every) + self._every)

    def copied(self, role: str, now: float, *, is_free: bool) -> None:
        """Note a copy that has just been made.

        Args:
            role: Of the file.
            now: The time.
            is_free: Whether it shares its blocks with the trainer's file (a reflink), so that nothing was written.
        """
        self._copied_at[role], self._is_free = now, is_free
