"""Tees what a process prints, so that whoever else uses its streams finds them as they were.

`sys.stdout` and `sys.stderr` are shared: others replace, redirect, wrap, patch and close them before, during and after
a training. So one registry of the process knows which of our tees is where, and restores a stream only if our tee is
still in its place: it never overwrites a stream that somebody else has put there, and never loses somebody's patch. A
tee that cannot be removed at once only passes on what is written, and is removed on its next use.
"""

from __future__ import annotations

import os
import sys
import threading
from collections import deque
from collections.abc import Callable, Iterable
from typing import Any

Listener = Callable[[str, object], None]
"""Takes what was written, and the id of the progress bar that it is a frame of, else None. It must not fail."""

NAMES = ("stdout", "stderr")
_MOST_RETIRED = 16
"""How many removed tees are kept alive: `print` holds no reference to the stream that it writes to, and another thread
may remove the tee meanwhile."""
_OWN = frozenset({"write", "writelines", "progress"})


class TeeStream:
    """Stands in for a stream: behaves like it in everything, and tells listeners what is written.

    Args:
        stream: The stream that it stands in for.
    """

    def __init__(self, stream: Any) -> None:
        """Begin without listeners."""
        vars(self).update(_stream=stream, _listeners=())

    def write(self, text: Any) -> Any:
        """Write to the stream, whose errors reach the caller, and tell the listeners."""
        written = self._stream.write(text)
        self._tell(text, None)
        return written

    def writelines(self, lines: Iterable[Any]) -> None:
        """Write each line."""
        for line in lines:
            self.write(line)

    def progress(self, bar: object, frame: str) -> None:
        """Write a frame of a progress bar; newer versions of Ultralytics use this method if there is one."""
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
        """Return whether somebody has replaced one of our methods, which would be lost with this tee."""
        return any(name in vars(self) and vars(self)[name] != getattr(type(self), name).__get__(self) for name in _OWN)

    def __getattr__(self, name: str) -> Any:
        """Delegate everything else to the stream."""
        return getattr(vars(self).get("_stream"), name)

    def __setattr__(self, name: str, value: object) -> None:
        """Set attributes of the stream, except for methods that this tee has itself."""
        if name in _OWN:
            vars(self)[name] = value
        else:
            setattr(self._stream, name, value)

    def __delattr__(self, name: str) -> None:
        """Delete an attribute where it was set."""
        if name in vars(self):
            del vars(self)[name]
        else:
            delattr(self._stream, name)

    @property  # type: ignore[misc]
    def __class__(self) -> type:
        """Return the stream's class, as code that reconfigures a stream checks `isinstance` first."""
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
        """Enter the stream's context, and return this tee."""
        self._stream.__enter__()
        return self

    def __exit__(self, *error: Any) -> Any:
        """Leave the stream's context."""
        return self._stream.__exit__(*error)

    def __reduce_ex__(self, protocol: Any) -> Any:
        """Be copied, or refuse to be, as the stream does."""
        return self._stream.__reduce_ex__(protocol)


class Streams:
    """The registry of this process's tees; they are removed in any order, by any thread."""

    def __init__(self) -> None:
        """Begin without tees."""
        self._lock = threading.RLock()
        self._tees: list[TeeStream] = []
        self._retired: deque[TeeStream] = deque(maxlen=_MOST_RETIRED)

    def add_listener(self, listener: Listener) -> None:
        """Tell a listener what is written to stdout and stderr from now on, leaving out a stream that is None."""
        with self._lock:
            for name in NAMES:
                if (stream := getattr(sys, name, None)) is not None:
                    tee = self._tee_for(stream)
                    setattr(sys, name, tee)
                    if listener not in tee._listeners:
                        vars(tee)["_listeners"] = (*tee._listeners, listener)

    def remove_listener(self, listener: Listener) -> None:
        """Stop telling a listener, and remove tees without listeners."""
        with self._lock:
            for tee in list(self._tees):
                vars(tee)["_listeners"] = tuple(one for one in tee._listeners if one != listener)
            for tee in [one for one in self._tees if not one._listeners]:
                self._tees = [one for one in self._tees if one is not tee]
                self._retired.append(tee)
                self.restore(tee)

    def remove_all_listeners(self) -> None:
        """Stop telling all listeners, without the lock, which a thread of a forked child's parent may have held."""
        for tee in self._tees:
            vars(tee)["_listeners"] = ()
        self._retired.extend(self._tees)
        self._tees = []
        self._lock = threading.RLock()

    def restore(self, tee: TeeStream) -> None:
        """Put a stream back wherever a tee without listeners stands in for it, unless the tee is patched."""
        with self._lock:
            for name in NAMES:
                if getattr(sys, name, None) is tee and not (tee._listeners or tee._is_patched()):
                    setattr(sys, name, tee._stream)

    def _tee_for(self, stream: Any) -> TeeStream:
        """Return the tee that a stream is or has already, else a new one."""
        known = (one for one in [*self._tees, *self._retired] if one is stream or one._stream is stream)
        tee = next(known, None) or TeeStream(stream)
        if not any(one is tee for one in self._tees):
            self._tees.append(tee)
        return tee


STREAMS = Streams()
"""The registry of this process."""

os.register_at_fork(after_in_child=STREAMS.remove_all_listeners)
