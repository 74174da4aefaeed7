"""Flushing a file in the background: it is begun by one call, and its end is asked for by another.

Linux does so by itself (`IOCB_CMD_FDSYNC` of io_submit(2), from 4.18 on). The caller can then wait as long as it likes,
which it cannot in `fdatasync`, and on an idle disk that costs no more, while a second thread would cost 30 to 50 µs.
Elsewhere, and where a sandbox forbids these calls, it is a thread.
"""

from __future__ import annotations

import ctypes
import os
import queue
import struct
import sys
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from functools import partial
from typing import NamedTuple, Protocol

from journal.storage.log_flush import flush

_AT_ONCE = 16
_TRIAL_SECONDS = 0.1
_POLL_SECONDS = 0.0003
# Whoever gets the processor back later than this shares it with somebody; so many flushes are then waited for asleep.
_CROWDED_SECONDS = 0.0001
_FLUSHES_ASLEEP = 100
# Numbers of io_setup, io_submit, io_getevents; none where these are not known.
_MACHINE = os.uname().machine
_CALLS = {"x86_64": (206, 209, 208), "aarch64": (0, 2, 4)} if sys.platform.startswith("linux") else {}
_SETUP, _SUBMIT, _EVENTS = map(ctypes.c_long, _CALLS.get(_MACHINE, (-1, -1, -1)))
_FDSYNC = 3
# linux/aio_abi.h, as little-endian machines have it.
_REQUEST = struct.Struct("<QIIHhIQQqQII")
_EVENT = struct.Struct("<QQqq")
_TIME = struct.Struct("<qq")
# Made once, as whoever asks whether a flush is over does so many times; the kernel only reads them.
_ONE, _MANY = ctypes.c_long(1), ctypes.c_long(_AT_ONCE)
_NO_TIME = ctypes.create_string_buffer(_TIME.pack(0, 0))
_Events = ctypes.c_char * (_AT_ONCE * _EVENT.size)
_syscall: Callable[..., int] = ctypes.CDLL(None, use_errno=True).syscall
_contexts: list[ctypes.c_ulong] = []
"""Contexts of this process that no file uses."""
os.register_at_fork(after_in_child=_contexts.clear)


class Synced(NamedTuple):
    """The end of a flush: the number that it was begun with, and its error."""

    number: int
    error: OSError | None


class BackgroundSync(Protocol):
    """Flushes one file in the background; any thread may call it at any time."""

    def begin(self, number: int) -> None:
        """Begin a flush of everything that was written before.

        Raises:
            OSError: It could not be begun.
        """

    def ended(self, seconds: float) -> list[Synced]:
        """Return flushes that have ended, each once, in any order; wait for the first one this long at most."""

    def close(self) -> None:
        """Let go of the file."""


def background_sync(descriptor: int) -> BackgroundSync:
    """Return what flushes an open file.

    Args:
        descriptor: The file, which stays open until `close` returned.
    """
    if _MACHINE in _CALLS:
        with suppress(OSError):
            return _Kernel(descriptor)
    return _Thread(descriptor)


class _Kernel:
    """Linux's own asynchronous requests."""

    def __init__(self, descriptor: int) -> None:
        self._descriptor = descriptor
        self._context = _contexts.pop() if _contexts else _new_context()
        self._under_way = 0
        self._asleep = 0
        try:  # whether this system and file can do it
            self.begin(0)
            self._ended_within(_TRIAL_SECONDS)
        except OSError:
            self.close()
            raise

    def begin(self, number: int) -> None:
        fields = (number, 0, 0, _FDSYNC, 0, self._descriptor, 0, 0, 0, 0, 0, 0)
        request = ctypes.create_string_buffer(_REQUEST.pack(*fields))
        _checked(_SUBMIT, self._context, _ONE, ctypes.byref(ctypes.c_void_p(ctypes.addressof(request))))
        self._under_way += 1

    def ended(self, seconds: float) -> list[Synced]:
        """Ask for a moment before waiting: on an idle machine, to sleep and to be woken takes a third of the time."""
        if self._asleep or seconds < _POLL_SECONDS:
            self._asleep = max(0, self._asleep - 1)
            return self._ended_within(seconds)
        return self._ended_soon() or self._ended_within(seconds)

    def _ended_soon(self) -> list[Synced]:
        """Ask for a moment; where that was in vain, the next flushes are waited for asleep.

        On a busy disk they end later than that. Where others want the processor, whoever asks on and on waits in turn
        for it, and so does the kernel's thread that flushes, while whoever sleeps is woken at once.
        """
        now = time.monotonic()
        until = now + _POLL_SECONDS
        while now < until:
            if found := self._ended_within(0):
                return found
            os.sched_yield()
            before, now = now, time.monotonic()
            if now - before > _CROWDED_SECONDS:
                break
        self._asleep = _FLUSHES_ASLEEP
        return []

    def _ended_within(self, seconds: float) -> list[Synced]:
        events, timeout = _Events(), _NO_TIME
        if seconds:
            timeout = ctypes.create_string_buffer(_TIME.pack(int(seconds), int(seconds % 1 * 1e9)))
        try:
            count = _checked(_EVENTS, self._context, _ONE, _MANY, events, timeout)
        except InterruptedError:
            return []
        if not count:
            return []
        self._under_way -= count
        found = (_EVENT.unpack_from(events, index * _EVENT.size) for index in range(count))
        return [
            Synced(number, OSError(-code, os.strerror(-code)) if code < 0 else None) for number, _, code, _ in found
        ]

    def close(self) -> None:
        """Keep the context for the next file: the kernel takes tens of milliseconds to remove one."""
        if not self._under_way:
            _contexts.append(self._context)


def _new_context() -> ctypes.c_ulong:
    context = ctypes.c_ulong(0)
    _checked(_SETUP, _MANY, ctypes.byref(context))
    return context


def _checked(*arguments: object) -> int:
    count: int = _syscall(*arguments)
    if count < 0:
        raise OSError(ctypes.get_errno(), os.strerror(ctypes.get_errno()))
    return count


class _Thread:
    """A thread that flushes; it ends with `close`."""

    def __init__(self, descriptor: int) -> None:
        self._flush = partial(flush, descriptor)
        self._numbers: queue.SimpleQueue[int | None] = queue.SimpleQueue()
        self._ended: queue.SimpleQueue[Synced] = queue.SimpleQueue()
        self._thread = threading.Thread(target=self._work, name="journal-flush", daemon=True)
        self._thread.start()

    def begin(self, number: int) -> None:
        self._numbers.put(number)

    def ended(self, seconds: float) -> list[Synced]:
        try:
            return [self._ended.get(timeout=seconds)]
        except queue.Empty:
            return []

    def close(self) -> None:
        self._numbers.put(None)
        self._thread.join()

    def _work(self) -> None:
        while (number := self._numbers.get()) is not None:
            try:
                self._flush()
                self._ended.put(Synced(number, None))
            except OSError as error:
                self._ended.put(Synced(number, error))
