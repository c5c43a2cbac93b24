"""Run the vendor sandboxes over real HTTP, each on a free port in a thread of its own."""

from __future__ import annotations

import importlib
import socket
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import requests
import uvicorn

from tests.systems import tryton_fixture

CONTROL = "control-token"


@dataclass(frozen=True)
class Sandbox:
    """A running sandbox and its control routes."""

    url: str

    def control(self, what: str, body: Any = None) -> Any:
        verb = "GET" if what == "state" else "POST"
        headers = {"X-Sandbox-Token": CONTROL}
        answer = requests.request(verb, f"{self.url}/_sandbox/{what}", json=body, headers=headers, timeout=10)
        answer.raise_for_status()
        return answer.json()

    def load(self, records: dict[str, list[dict[str, Any]]] | None = None, **settings: Any) -> None:
        self.control("records", {"records": records or {}, "settings": settings})

    def arm(self, match: str, fault: str, times: int = 1) -> None:
        self.control("faults", {"match": match, "fault": fault, "times": times})

    def state(self) -> Any:
        return self.control("state")


@pytest.fixture
def serve(tmp_path: Path) -> Iterator[Callable[[str], Sandbox]]:
    """Start a vendor's sandbox over a fresh file."""
    running: list[tuple[uvicorn.Server, threading.Thread]] = []

    def start(vendor: str) -> Sandbox:
        app = importlib.import_module(f"psflow.systems.{vendor}.sandbox").app(tmp_path / f"{vendor}.sqlite", CONTROL)
        listener = socket.socket()
        listener.bind(("127.0.0.1", 0))
        server = uvicorn.Server(uvicorn.Config(app, log_level="error", timeout_graceful_shutdown=1))
        thread = threading.Thread(target=server.run, kwargs={"sockets": [listener]}, daemon=True)
        thread.start()
        while not server.started:
            time.sleep(0.01)
        running.append((server, thread))
        return Sandbox(f"http://127.0.0.1:{listener.getsockname()[1]}")

    yield start
    for server, thread in running:
        server.should_exit = True
        thread.join(5)


@pytest.fixture
def salesforce_sandbox(serve: Callable[[str], Sandbox]) -> Sandbox:
    sandbox = serve("salesforce")
    sandbox.load(client_id="app", client_secret="swordfish")
    return sandbox


@pytest.fixture
def kantata_sandbox(serve: Callable[[str], Sandbox]) -> Sandbox:
    sandbox = serve("kantata")
    sandbox.load(bearer="swordfish", hang_s=1.5)
    return sandbox


tryton_server = tryton_fixture.tryton_server
