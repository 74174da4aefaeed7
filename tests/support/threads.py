"""Which threads are left when something has ended, however slowly the machine lets them end."""

from __future__ import annotations

import threading
from collections.abc import Collection


def left_threads(prefix: str = "", besides: Collection[threading.Thread] = ()) -> list[str]:
    """Return the names of threads that do not end.

    Args:
        prefix: Of their names.
        besides: Threads that were there before.
    """
    here = threading.current_thread()
    found = [each for each in threading.enumerate() if each.name.startswith(prefix) and each not in {here, *besides}]
    for each in found:
        each.join(60)
    return [each.name for each in found if each.is_alive()]
