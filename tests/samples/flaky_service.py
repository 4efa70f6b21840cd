"""A process that speaks just enough HTTP to be supervised; what it does is in its environment.

It stands in for ``gradio_apps.serve``, which takes seconds to start.  MODE: ``serve`` (answer every
request with its pid and environment), ``crash`` (end at once), ``once`` (answer one request, then
crash), ``deaf`` (serve, and ignore SIGTERM), ``failed`` (say that the app failed to load), ``mute`` (never
answer), ``greedy`` (serve, and a process of its own takes 200 MB).
"""

import json
import os
import signal
import socket
import subprocess
import sys
import time

mode = os.environ["MODE"]
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
    subprocess.Popen([sys.executable, "-c", code], close_fds=True)
while mode == "mute":
    time.sleep(60)
listening = socket.socket(fileno=3)
while True:
    connection, _ = listening.accept()
    request = connection.recv(65536).decode()
    if not request:
        continue
    health = "/.portal/health" in request
    state = {"state": "failed" if mode == "failed" else "running"}
    seen = {
        "pid": os.getpid(),
        "environment": dict(os.environ),
        "secret": secret,
        "cwd": os.getcwd(),
        "request": request,
    }
    body = json.dumps(state if health else seen)
    connection.sendall(f"HTTP/1.1 200 OK\r\nContent-Length: {len(body)}\r\nConnection: close\r\n\r\n{body}".encode())
    connection.close()
    if mode == "once" and not health:
        os._exit(9)
