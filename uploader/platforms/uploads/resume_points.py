"""Where interrupted uploads continue, for as long as a client lives.

A resume point holds URLs that let whoever has them upload. They are kept in memory only and never shown.
"""

from __future__ import annotations

import threading
from collections import OrderedDict
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from uploader.platforms.uploads.resumable import UploadSession

MOST_RESUME_POINTS = 64
"""How many are kept; an upload whose point was dropped starts over."""


@dataclass(frozen=True)
class ResumePoint:
    """Where one upload continues.

    Attributes:
        location: The platform's answer that says where to upload to.
        session: The session that takes the file in chunks; None before it is created.
        offset: How many bytes the server has; None when it must be asked.
    """

    location: Mapping[str, Any] = field(repr=False)
    session: UploadSession | None = field(default=None, repr=False)
    offset: int | None = None


class ResumePoints:
    """The resume points of the latest interrupted uploads. Threads may share it."""

    def __init__(self, most: int = MOST_RESUME_POINTS) -> None:
        """Start empty.

        Args:
            most: How many are kept.
        """
        self._most = most
        self._kept: OrderedDict[str, ResumePoint] = OrderedDict()
        self._lock = threading.Lock()

    def find(self, chunk_id: str) -> ResumePoint | None:
        """Return the resume point of an upload, or None."""
        with self._lock:
            return self._kept.get(chunk_id)

    def keep(self, chunk_id: str, point: ResumePoint) -> None:
        """Keep a resume point, and drop the oldest one when there are too many."""
        with self._lock:
            self._kept[chunk_id] = point
            if len(self._kept) > self._most:
                self._kept.popitem(last=False)

    def forget(self, chunk_id: str) -> None:
        """Drop the resume point of an upload, if there is one."""
        with self._lock:
            self._kept.pop(chunk_id, None)
