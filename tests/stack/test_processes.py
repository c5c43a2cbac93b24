"""A program that was ended is wholly gone: its port can be taken at once, and what it had started is found."""

from __future__ import annotations

import os
import signal
import subprocess
import sys

import psutil

from psflow.sandbox.processes import COMPONENT, end, free_port, marked

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


def test_what_a_killed_part_had_started_is_found_by_the_parts_name() -> None:
    ours = {"PSFLOW_TEST_HOME": str(os.getpid())}
    worker = "import subprocess, sys; print(subprocess.Popen(['sleep', '60']).pid, flush=True); sys.stdin.read()"
    parts = {
        part: subprocess.Popen(
            [sys.executable, "-c", worker], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True,
            env=os.environ | ours | {COMPONENT: part},
        )
        for part in ("scheduler", "triggerer")
    }  # fmt: skip
    started = {part: int((process.stdout or sys.stdin).readline()) for part, process in parts.items()}
    parts["scheduler"].kill()
    parts["scheduler"].wait()
    left = marked("PSFLOW_TEST_HOME", ours["PSFLOW_TEST_HOME"], "scheduler")
    assert [process.pid for process in left] == [started["scheduler"]]
    end(marked("PSFLOW_TEST_HOME", ours["PSFLOW_TEST_HOME"]), signal.SIGKILL)
