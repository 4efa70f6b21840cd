"""A process that speaks just enough HTTP, and to its supervisor, to be supervised; what it does is in its environment.

It stands in for ``gradio_apps.serve``, which takes seconds to start.  MODE: ``serve`` (answer every
request with its pid and environment, ``/wait/2`` after two seconds), ``crash`` (end at once), ``once`` (answer one
request, then crash), ``deaf`` (serve, and ignore SIGTERM), ``failed`` (say that the app failed to load), ``mute``
(never answer), ``greedy`` (serve, and a process in a session of its own takes 200 MB), ``escaping`` (serve, and so does
a process in a session of its own, which says "from outside"), ``selfish`` (serve, and share its address with nobody while a connection is open), ``clinging`` (serve, and never
let go of the address), ``chatty`` (serve, and in the end tell the supervisor nonsense and that an app session ended).  Several with commas: of the
first process, the second, and so on.
"""

import json
import os
import selectors
import signal
import socket
import subprocess
import sys
import threading
import time
from pathlib import Path

starts = Path(os.environ["GRADIO_TEMP_DIR"]) / "starts"
number = len(starts.read_text()) if starts.exists() else 0
starts.write_text("x" * (number + 1))
modes = os.environ["MODE"].split(",")
mode = modes[min(number, len(modes) - 1)]
assert os.environ["LISTEN_PID"] == str(os.getpid()), "the socket was meant for somebody else"
with os.fdopen(int(os.environ["PORTAL_APP_SECRET_FD"])) as pipe:
    secret = pipe.read()
print("started", sys.argv[1:], flush=True)
if mode == "crash":
    sys.exit(7)
if mode == "deaf":
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
if mode == "failed":
    print("portal: ERROR: The module 'torch' is not installed where the app runs.", flush=True)
if mode == "greedy":
    code = "import time; kept = bytearray(200_000_000); kept[::4096] = bytes(len(kept[::4096])); time.sleep(600)"
    subprocess.Popen([sys.executable, "-c", code], close_fds=True, start_new_session=True)
if mode == "escaping":
    code = """
import os, select, socket
listening = socket.socket(fileno=3)
print("outside is", os.getpid(), flush=True)
while True:
    select.select([listening], [], [])
    try:
        connection, _ = listening.accept()
    except BlockingIOError:
        continue
    connection.setblocking(True)
    connection.recv(65536)
    connection.sendall(b"HTTP/1.1 200 OK\\r\\nContent-Length: 12\\r\\nConnection: close\\r\\n\\r\\nfrom outside")
    connection.close()
"""
    subprocess.Popen([sys.executable, "-c", code], pass_fds=(3,), start_new_session=True)
while mode == "mute":
    time.sleep(60)

listening = socket.socket(fileno=3)
listening.setblocking(False)
channel = socket.socket(fileno=int(os.environ["PORTAL_SUPERVISOR_FD"]))
heard: list[str] = []
answering: set[threading.Thread] = set()
accepting = False


def say(**members: object) -> None:
    said = {
        "state": "failed" if mode == "failed" else "running",
        "accepting": accepting,
        "open": {"request": sum(thread.is_alive() for thread in answering)},
        "listening": ["a-gradio-session"] if any(thread.is_alive() for thread in answering) else [],
    }
    channel.sendall(json.dumps(members or said).encode() + b"\n")


def answer(connection: socket.socket) -> None:
    if mode == "selfish":
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 0)
    request = connection.recv(65536).decode()
    if not request:
        connection.close()
        return
    path = request.split(" ", 2)[1]
    if path.startswith("/wait/"):
        time.sleep(float(path.removeprefix("/wait/")))
    seen = {
        "pid": os.getpid(),
        "environment": dict(os.environ),
        "secret": secret,
        "cwd": os.getcwd(),
        "request": request,
        "heard": heard,
    }
    body = json.dumps(seen)
    connection.sendall(f"HTTP/1.1 200 OK\r\nContent-Length: {len(body)}\r\nConnection: close\r\n\r\n{body}".encode())
    connection.close()
    if mode == "once":
        os._exit(9)


def obey(line: str) -> None:
    global accepting
    heard.append(line)
    message = json.loads(line)
    if message["do"] == "accept":
        accepting = True
        watched.register(listening, selectors.EVENT_READ)
    if message["do"] == "leave" and mode != "clinging":
        accepting = False
        watched.unregister(listening)
        say()
        if mode == "chatty":
            channel.sendall(b'nonsense\n{"state": 7}\n{"ended": ""}\n{"ended": 1}\n')
            say(ended="an-app-session")
        for thread in tuple(answering):
            thread.join(message["seconds"])
        os._exit(0)
    say()


watched = selectors.DefaultSelector()
watched.register(channel, selectors.EVENT_READ)
say()
pending = ""
while True:
    for key, _ in watched.select():
        if key.fileobj is channel:
            pending += channel.recv(65536).decode()
            *lines, pending = pending.split("\n")
            for line in lines:
                obey(line)
        else:
            try:
                accepted, _ = listening.accept()
            except BlockingIOError:
                continue
            accepted.setblocking(True)
            thread = threading.Thread(target=answer, args=(accepted,), daemon=True)
            answering.add(thread)
            thread.start()
            say()
