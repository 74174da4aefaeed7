"""Forks: data loaders and distributed workers are made by them, while the recorder's thread may be at work."""

from __future__ import annotations

from pathlib import Path

from support.journals import finish, python, rows

START = """
import os, sys, threading, journal
opened = journal.open(sys.argv[1])
writer = opened.writer()
run = writer.start_run(project=None, name="run", save_dir="/x").id
session = writer.start_session(run)
def write(kind):
    number = writer.append(run, session, kind, {})
    os.write(1, f"{number}\\n".encode())  # at once, unlike what print does when threads share it
"""


def test_a_child_writes_after_its_parent_has_closed(folder: Path) -> None:
    code = """
write("before")
told, tell = os.pipe()
hear, answer = os.pipe()
if os.fork() == 0:
    write("child")
    os.write(answer, b"x")
    os.read(told, 1)
    write("child, alone")
    os._exit(0)
os.read(hear, 1)
write("parent")
writer.close()
opened.close()
os.write(tell, b"x")
os.wait()
"""
    finish([python(START + code, folder)])
    written = [kind for (kind,) in rows(folder, "SELECT kind FROM events ORDER BY id")]
    assert written == ["before", "child", "parent", "child, alone"]


def test_a_child_that_exits_does_not_harm_its_parent(folder: Path) -> None:
    code = """
write("before")
if os.fork() == 0:
    sys.exit(0)  # runs what the interpreter runs at its end, unlike os._exit
os.wait()
write("after")
"""
    finish([python(START + code, folder)])
    assert rows(folder, "SELECT kind FROM events ORDER BY id") == [("before",), ("after",)]


def test_forks_while_another_thread_writes(folder: Path) -> None:
    code = """
stop = threading.Event()
def keep_writing():
    while not stop.is_set():
        write("thread")
def insist(kind):  # SQLite's lock is not fair: one that writes without a pause may keep another out
    while True:
        try:
            return write(kind)
        except journal.errors.JournalBusy:
            pass
thread = threading.Thread(target=keep_writing, daemon=True)
thread.start()
for _ in range(15):
    child = os.fork()
    if child == 0:
        insist("child")
        os._exit(0)
    write("parent")
    assert os.waitpid(child, 0)[1] == 0
stop.set()
thread.join()
"""
    (printed,) = finish([python(START + code, folder)])
    acknowledged = {int(line) for line in printed.split()}
    assert {event for (event,) in rows(folder, "SELECT id FROM events")} >= acknowledged
    assert rows(folder, "SELECT count(*) FROM events WHERE kind = 'child'") == [(15,)]
    assert rows(folder, "PRAGMA integrity_check") == [("ok",)]
