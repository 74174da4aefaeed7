"""Runs a command in this one's place: in its process group and terminal, with its signals, and to its end.

The command stays in our process group, so the terminal and job control treat both as one job: what the terminal sends
reaches the command without us. What somebody sends to us alone is passed on.
"""

from __future__ import annotations

import errno
import os
import resource
import signal
from collections.abc import Mapping, Sequence, Set
from typing import Any

CANNOT_RUN, NOT_FOUND = 126, 127
"""Exit codes of a shell for a command that cannot be started."""
_OURS = frozenset({signal.SIGKILL, signal.SIGSTOP, signal.SIGCHLD})
_ERRORS = frozenset({signal.SIGSEGV, signal.SIGBUS, signal.SIGFPE, signal.SIGILL, signal.SIGABRT, signal.SIGTRAP})
"""What a fault of this process raises: to be passed on, it would have to be of no fault of ours."""
_IGNORED_BY_PYTHON = [getattr(signal, name) for name in ("SIGPIPE", "SIGXFSZ") if hasattr(signal, name)]
_BY_TERMINAL = frozenset({signal.SIGINT, signal.SIGQUIT, signal.SIGTSTP, signal.SIGWINCH})
_STOPPED_BY_TERMINAL = frozenset({signal.SIGTSTP, signal.SIGTTIN, signal.SIGTTOU})


def run_supervised(command: Sequence[str], environment: Mapping[str, str]) -> int:
    """Run a command to its end, and return how it ended, as `waitpid` says it.

    Signals stay blocked in this process: those that come at the end are the command's, whose end is ours.

    Args:
        command: The program, looked up on `PATH`, and its arguments.
        environment: The variables that it gets.

    Raises:
        OSError: It cannot be started.
    """
    signal.signal(signal.SIGCHLD, lambda *_: None)  # whoever started us may have had it ignored
    passed_on = signal.valid_signals() - _OURS - _ERRORS
    before = signal.pthread_sigmask(signal.SIG_BLOCK, passed_on | {signal.SIGCHLD})
    to_default = [signal.SIGCHLD, *_IGNORED_BY_PYTHON]
    try:
        child = _spawn(command, environment, setsigmask=before, setsigdef=to_default)
    except OSError:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)
        raise
    return _until_the_end(child, passed_on)


def _spawn(command: Sequence[str], environment: Mapping[str, str], **signals: Any) -> int:
    """Start a command; a script that names no interpreter is the shell's, as everywhere else."""
    if not command[0]:
        raise FileNotFoundError(errno.ENOENT, os.strerror(errno.ENOENT))
    try:
        return os.posix_spawnp(command[0], [*command], environment, **signals)
    except OSError as error:
        if error.errno != errno.ENOEXEC:
            raise
    from shutil import which

    script = which(command[0]) or command[0]
    return os.posix_spawn("/bin/sh", ["sh", script, *command[1:]], environment, **signals)


def exit_as(status: int) -> int:
    """Die of the signal that a command died of, or return its exit code.

    Args:
        status: How the command ended, from `run_supervised`.
    """
    code = os.waitstatus_to_exitcode(status)
    if code >= 0:
        return code
    resource.setrlimit(resource.RLIMIT_CORE, (0, resource.getrlimit(resource.RLIMIT_CORE)[1]))  # it has left its own
    if -code not in (signal.SIGKILL, signal.SIGSTOP):
        signal.signal(-code, signal.SIG_DFL)
    signal.pthread_sigmask(signal.SIG_UNBLOCK, {-code})
    os.kill(os.getpid(), -code)
    return 128 - code  # still here: the first process of a container dies of no signal


def _until_the_end(child: int, passed_on: Set[int]) -> int:
    has_stopped_it = False
    while True:
        number, is_from_terminal = _next_signal(passed_on | {signal.SIGCHLD})
        if number == signal.SIGCHLD:
            if (status := _ended(child)) is not None:
                return status
        elif number == signal.SIGCONT:
            # A shell continues all of a job. To do so once more would undo what has stopped it meanwhile.
            if has_stopped_it:
                os.kill(child, number)
            has_stopped_it = False
        elif not is_from_terminal:
            os.kill(child, number)
            has_stopped_it = has_stopped_it or number == signal.SIGTSTP


def _next_signal(awaited: Set[int]) -> tuple[int, bool]:
    """Wait for a signal; return its number, and whether the terminal sent it, and so to the command, too.

    Of a hangup it tells the first process of the session alone, which this is where no shell is.
    """
    if hasattr(signal, "sigwaitinfo"):
        found = signal.sigwaitinfo(awaited)
        is_for_this = found.si_signo == signal.SIGHUP and os.getsid(0) == os.getpid()
        return found.si_signo, found.si_code > 0 and not is_for_this
    number = signal.sigwait(awaited)  # macOS does not say who sent it
    return number, number in _BY_TERMINAL and _is_in_foreground()


def _is_in_foreground() -> bool:
    try:
        return os.tcgetpgrp(0) == os.getpgrp()
    except OSError:  # it is no terminal
        return False


def _ended(child: int) -> int | None:
    """Take note of what has become of child processes; return how the command ended, None while it lives.

    As the first process of a container we get the orphans, too.
    """
    while True:
        try:
            process, status = os.waitpid(-1, os.WNOHANG | os.WUNTRACED)
        except ChildProcessError:
            return None
        if process == 0:
            return None
        if process == child and os.WIFSTOPPED(status):
            if os.WSTOPSIG(status) in _STOPPED_BY_TERMINAL:
                os.kill(os.getpid(), signal.SIGSTOP)  # the job is stopped only when all of it is
        elif process == child:
            return status
