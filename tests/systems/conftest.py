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

import msgspec
import pytest
import requests
import uvicorn

CONTROL = "control-token"
_JSON = msgspec.json.Encoder(decimal_format="number")


@dataclass(frozen=True)
class Sandbox:
    """A running sandbox and its control routes."""

    url: str

    def control(self, what: str, body: Any = None) -> Any:
        verb = "GET" if what == "state" else "POST"
        headers = {"X-Sandbox-Token": CONTROL, "Content-Type": "application/json"}
        sent = None if body is None else _JSON.encode(body)
        answer = requests.request(verb, f"{self.url}/_sandbox/{what}", data=sent, headers=headers, timeout=10)
        answer.raise_for_status()
        return answer.json()

    def load(self, records: dict[str, list[dict[str, Any]]] | None = None, **settings: Any) -> None:
        self.control("records", {"records": records or {}, "settings": settings})

    def arm(self, match: str, fault: str, times: int = 1) -> None:
        self.control("faults", {"match": match, "fault": fault, "times": times})

    def state(self) -> Any:
        return self.control("state")


class _Server:
    """One port that serves whatever app it was given last: a server start costs more than most tests."""

    def __init__(self) -> None:
        self.app: Any = None
        listener = socket.socket()
        listener.bind(("127.0.0.1", 0))
        self.url = f"http://127.0.0.1:{listener.getsockname()[1]}"
        config = uvicorn.Config(self._serve, log_level="error", interface="asgi3", lifespan="off")
        self.server = uvicorn.Server(config)
        self.thread = threading.Thread(target=self.server.run, kwargs={"sockets": [listener]}, daemon=True)
        self.thread.start()
        while not self.server.started:
            time.sleep(0.01)

    async def _serve(self, scope: Any, receive: Any, send: Any) -> None:
        await self.app(scope, receive, send)


_SERVERS: dict[str, _Server] = {}


@pytest.fixture(scope="session", autouse=True)
def _stopped_at_the_end() -> Iterator[None]:
    yield
    for server in _SERVERS.values():
        server.server.should_exit = True
        server.thread.join(5)
    _SERVERS.clear()


@pytest.fixture
def serve(tmp_path: Path) -> Callable[[str], Sandbox]:
    """Serve a vendor's sandbox over a fresh file."""

    def start(vendor: str) -> Sandbox:
        if vendor not in _SERVERS:
            _SERVERS[vendor] = _Server()
        server, file = _SERVERS[vendor], tmp_path / f"{vendor}.sqlite"
        server.app = importlib.import_module(f"psflow.systems.{vendor}.sandbox").app(file, CONTROL)
        return Sandbox(server.url)

    return start


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


@pytest.fixture
def bamboohr_sandbox(serve: Callable[[str], Sandbox]) -> Sandbox:
    sandbox = serve("bamboohr")
    sandbox.load(api_key="swordfish", hang_s=1.5)
    return sandbox


@pytest.fixture
def float_sandbox(serve: Callable[[str], Sandbox]) -> Sandbox:
    sandbox = serve("float")
    sandbox.load(token="swordfish", hang_s=1.5)
    return sandbox
