"""A program that was ended is wholly gone: its port can be taken at once."""

from __future__ import annotations

import signal
import subprocess
import sys

import psutil

from psflow.sandbox.processes import end, free_port

# many threads and much memory: after the leader is a zombie, the others still hold the port for some milliseconds
SERVER = """
import socket, sys, threading, time
listener = socket.socket()
listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
listener.bind(("127.0.0.1", int(sys.argv[1])))
listener.listen()
ballast = bytearray(200_000_000)
for _ in range(200):
    threading.Thread(target=time.sleep, args=(100,), daemon=True).start()
print("up", flush=True)
time.sleep(100)
"""


def test_a_killed_server_leaves_its_port_free_when_end_returns() -> None:
    for _ in range(20):
        port = free_port()
        server = subprocess.Popen([sys.executable, "-c", SERVER, str(port)], stdout=subprocess.PIPE, text=True)
        assert server.stdout is not None
        assert server.stdout.readline() == "up\n"
        end([psutil.Process(server.pid)], signal.SIGKILL, wait_s=5)
        assert free_port(port) == port
