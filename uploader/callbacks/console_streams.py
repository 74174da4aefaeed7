"""Listening to what a process prints, in such a way that whoever uses its streams finds them as they were.

`sys.stdout` and `sys.stderr` belong to everybody: they are replaced, redirected, wrapped, patched and closed by others,
before, while and after a training is listened to. So one ledger for the process keeps which stream of ours stands
where, and gives back only what is still in its place: never over a stream that somebody has put there meanwhile, and
never so that somebody's patch is lost. A stream of ours that cannot be given back at once only passes on what it is
told, and is given back when it is used.
"""

from __future__ import annotations

import os
import sys
import threading
from collections import deque
from collections.abc import Callable, Iterable
from typing import Any

Listener = Callable[[str, object], None]
"""Takes what was written and, where it is a frame of a progress bar, the bar's id, else None. It must not fail."""

NAMES = ("stdout", "stderr")
_MOST_RETIRED = 16
"""Streams of ours that stand nowhere any more. `print` holds no reference to the stream that it writes to, so that one
which another thread gives back meanwhile has to live on."""
_OWN = frozenset({"write", "writelines", "progress"})


class TeeStream:
    """Stands in for a stream: is like it in everything, and tells who listens what is written.

    Args:
        stream: The one that it stands for.
    """

    def __init__(self, stream: Any) -> None:
        """Nobody listens yet."""
        vars(self).update(_stream=stream, _listeners=())

    def write(self, text: Any) -> Any:
        """Write to the stream, whose errors are the writer's as ever, and tell it."""
        written = self._stream.write(text)
        self._tell(text, None)
        return written

    def writelines(self, lines: Iterable[Any]) -> None:
        """Write each line."""
        for line in lines:
            self.write(line)

    def progress(self, bar: object, frame: str) -> None:
        """Write a frame of a progress bar; newer versions of Ultralytics look for this method."""
        if beneath := getattr(self._stream, "progress", None):
            beneath(bar, frame)
        else:
            self._stream.write(frame)
        self._tell(frame, bar)

    def _tell(self, text: Any, bar: object) -> None:
        if isinstance(text, str):
            for listener in self._listeners:
                listener(text, bar)
        if not self._listeners:
            STREAMS.restore(self)

    def _is_patched(self) -> bool:
        """Return whether somebody has put a method of their own here, which would be lost with this stream."""
        return any(name in vars(self) and vars(self)[name] != getattr(type(self), name).__get__(self) for name in _OWN)

    def __getattr__(self, name: str) -> Any:
        """Return what is not said here from the stream."""
        return getattr(vars(self).get("_stream"), name)

    def __setattr__(self, name: str, value: object) -> None:
        """Set it at the stream, except for what would be called here in vain, or by itself."""
        if name in _OWN:
            vars(self)[name] = value
        else:
            setattr(self._stream, name, value)

    def __delattr__(self, name: str) -> None:
        """Delete it where it was set."""
        if name in vars(self):
            del vars(self)[name]
        else:
            delattr(self._stream, name)

    @property  # type: ignore[misc]
    def __class__(self) -> type:
        """Return the stream's class: who reconfigures a stream asks `isinstance` first."""
        return type(vars(self).get("_stream"))

    def __dir__(self) -> Iterable[str]:
        """Return the stream's names."""
        return dir(self._stream)

    def __repr__(self) -> str:
        """Return the stream's text."""
        return repr(self._stream)

    def __iter__(self) -> Any:
        """Iterate over the stream."""
        return iter(self._stream)

    def __next__(self) -> Any:
        """Return the stream's next line."""
        return next(self._stream)

    def __enter__(self) -> Any:
        """Enter the stream's context, and stay in its place."""
        self._stream.__enter__()
        return self

    def __exit__(self, *error: Any) -> Any:
        """Leave the stream's context."""
        return self._stream.__exit__(*error)

    def __reduce_ex__(self, protocol: Any) -> Any:
        """Be copied, or refused to be, as the stream."""
        return self._stream.__reduce_ex__(protocol)


class Streams:
    """Which streams of ours stand where in this process; undone in any order, by any thread."""

    def __init__(self) -> None:
        """Nothing stands anywhere."""
        self._lock = threading.RLock()
        self._tees: list[TeeStream] = []
        self._retired: deque[TeeStream] = deque(maxlen=_MOST_RETIRED)

    def add_listener(self, listener: Listener) -> None:
        """Have a listener told what is written to stdout and stderr from now on; where one is None there is nothing."""
        with self._lock:
            for name in NAMES:
                if (stream := getattr(sys, name, None)) is not None:
                    tee = self._tee_for(stream)
                    setattr(sys, name, tee)
                    if listener not in tee._listeners:
                        vars(tee)["_listeners"] = (*tee._listeners, listener)

    def remove_listener(self, listener: Listener) -> None:
        """Tell a listener nothing more, and give back what nobody listens to."""
        with self._lock:
            for tee in list(self._tees):
                vars(tee)["_listeners"] = tuple(one for one in tee._listeners if one != listener)
            for tee in [one for one in self._tees if not one._listeners]:
                self._tees = [one for one in self._tees if one is not tee]
                self._retired.append(tee)
                self.restore(tee)

    def remove_all_listeners(self) -> None:
        """Tell nobody anything more, as in a forked child, without waiting for a lock that its parent may have held."""
        for tee in self._tees:
            vars(tee)["_listeners"] = ()
        self._retired.extend(self._tees)
        self._tees = []
        self._lock = threading.RLock()

    def restore(self, tee: TeeStream) -> None:
        """Put a stream back wherever one of ours, to which nobody listens, stands for it and is not patched."""
        with self._lock:
            for name in NAMES:
                if getattr(sys, name, None) is tee and not (tee._listeners or tee._is_patched()):
                    setattr(sys, name, tee._stream)

    def _tee_for(self, stream: Any) -> TeeStream:
        """Return the stream of ours that this one is, or that stands for it already, else a new one."""
        known = (one for one in [*self._tees, *self._retired] if one is stream or one._stream is stream)
        tee = next(known, None) or TeeStream(stream)
        if not any(one is tee for one in self._tees):
            self._tees.append(tee)
        return tee


STREAMS = Streams()
"""The process's."""

if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=STREAMS.remove_all_listeners)
