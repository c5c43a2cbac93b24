"""The sandboxes misbehave when told to, each vendor in its own way, and the same seed gives the same weather."""

from __future__ import annotations

import socket
import sqlite3
import subprocess
import sys
import threading
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import suppress
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any, ClassVar

import pytest
import requests

from psflow.errors import UncertainOutcome
from psflow.sandbox import fault_proxy, weather
from psflow.sandbox.processes import free_port
from psflow.sandbox.shelf import Shelf
from psflow.sandbox.vendor_app import plan
from psflow.systems.bamboohr import sandbox as bamboohr
from psflow.systems.kantata import sandbox as kantata
from psflow.systems.salesforce import sandbox as salesforce
from psflow.systems.transport import Patience
from tests.systems.test_kantata import CARDS, client, create

COMMON = {"throttle", "error_before"}
LOST = {"error_after", "timeout_after_commit", "late_landing"}
CAN = {
    "salesforce": COMMON | LOST | {"expired_token", "partial_success"},
    "kantata": COMMON | LOST | {"slow_index"},  # a bearer does not expire, and psflow sends no batches there
    "bamboohr": COMMON,  # only read
}
DIALECTS = {"salesforce": salesforce.DIALECT, "kantata": kantata.DIALECT, "bamboohr": bamboohr.DIALECT}


@pytest.fixture
def shelf(tmp_path: Path) -> Shelf:
    return Shelf(tmp_path / "vendor.sqlite")


def armed(shelf: Shelf) -> list[tuple[str, str, int]]:
    return list(shelf.db.execute("SELECT match, fault, skip FROM fault ORDER BY id"))


@pytest.mark.parametrize("vendor", CAN)
def test_every_fault_a_vendor_can_make_is_planned_often_enough(shelf: Shelf, vendor: str) -> None:
    planned = plan(shelf, DIALECTS[vendor], seed="7", each=4)
    assert planned == dict.fromkeys(CAN[vendor], 4)
    assert Counter(fault for _, fault, _ in armed(shelf)) == planned


def test_the_same_seed_plans_the_same_weather_and_another_seed_another(tmp_path: Path) -> None:
    plans = []
    for n, seed in enumerate(("7", "7", "8")):
        shelf = Shelf(tmp_path / f"{n}.sqlite")
        plan(shelf, kantata.DIALECT, seed)
        plans.append(armed(shelf))
    assert plans[0] == plans[1] != plans[2]


def test_faults_of_one_match_strike_in_order_each_after_the_requests_it_spares(shelf: Shelf) -> None:
    shelf.arm("write", "throttle", skip=2)
    shelf.arm("write", "error_after", skip=1)
    shelf.arm("GET /a", "error_before")
    struck = [shelf.take_fault(f"POST /{n}", "write") for n in range(6)]
    assert struck == [None, None, "throttle", None, "error_after", None]
    assert shelf.take_fault("GET /b", "read") is None
    assert shelf.take_fault("GET /a", "read") == "error_before"
    assert shelf.state()["faults"] == {"throttle": 1, "error_after": 1, "error_before": 1}


def test_a_storm_also_refuses_more_often_in_a_row_than_a_read_is_tried(shelf: Shelf) -> None:
    planned = plan(shelf, bamboohr.DIALECT, "7", burst=weather.PLANS["storm"])
    assert planned == dict.fromkeys(COMMON, weather.EACH + 6)
    assert max(times for (times,) in shelf.db.execute("SELECT times FROM fault")) > Patience().tries


def test_a_fault_that_struck_too_seldom_is_named() -> None:
    planned = {"kantata": {"throttle": 3, "late_landing": 3}, "float": {"throttle": 3}}
    struck = {"kantata": {"throttle": 3, "late_landing": 2}, "float": {}}
    assert weather.short(planned, struck) == ["float throttle: 0 of 3", "kantata late_landing: 2 of 3"]
    assert weather.short({"kantata": {"throttle": 3}}, struck) == []


def test_a_file_of_an_older_sandbox_takes_a_plan(tmp_path: Path) -> None:
    with sqlite3.connect(tmp_path / "old.sqlite") as old:
        old.execute("CREATE TABLE fault (id INTEGER PRIMARY KEY, match TEXT, fault TEXT, times INTEGER)")
    assert plan(Shelf(tmp_path / "old.sqlite"), bamboohr.DIALECT, "7")


def test_a_plan_strikes_over_http_and_is_counted_by_kind(kantata_sandbox: Any) -> None:
    kantata_sandbox.load(CARDS, hang_s=0, late_s=0)
    planned = kantata_sandbox.control("plan", {"seed": "7", "each": 3})
    headers = {"Authorization": "Bearer swordfish"}
    for n in range(90):
        address, body = (
            f"{kantata_sandbox.url}/api/v1/workspaces",
            {"workspace": {"title": f"W{n}", "creator_role": "maven"}},
        )
        requests.post(address, json=body, headers=headers, timeout=5)
        requests.get(address, headers=headers, timeout=5)
    assert kantata_sandbox.state()["faults"] == planned == dict.fromkeys(CAN["kantata"], 3)


def test_a_write_that_lands_late_is_not_there_when_we_give_up_and_is_there_a_little_later(kantata_sandbox: Any) -> None:
    kantata_sandbox.load(CARDS, late_s=0.8)
    psa = client(kantata_sandbox, deadline_s=0.4)
    kantata_sandbox.arm("POST /api/v1/workspaces", "late_landing")
    with pytest.raises(UncertainOutcome):
        psa.perform(create())
    assert psa.find(create()) is None
    until = time.monotonic() + 5
    while psa.find(create()) is None:
        assert time.monotonic() < until, "it never landed"
        time.sleep(0.1)
    assert kantata_sandbox.state()["records"]["workspaces"] == 1


def test_a_slow_index_hides_what_was_made_for_a_while(kantata_sandbox: Any) -> None:
    kantata_sandbox.load(CARDS, index_s=1.0)
    psa = client(kantata_sandbox)
    kantata_sandbox.arm("POST /api/v1/workspaces", "slow_index")
    with pytest.raises(UncertainOutcome, match="500"):
        psa.perform(create())
    assert psa.find(create()) is None
    time.sleep(1.1)
    assert psa.find(create()) is not None


@pytest.mark.parametrize("fault", [f for f, status in weather.BEFORE.items() if status != 401])
def test_what_is_refused_before_was_not_done(kantata_sandbox: Any, fault: str) -> None:
    kantata_sandbox.arm("write", fault)
    headers, body = {"Authorization": "Bearer swordfish"}, {"workspace": {"title": "T", "creator_role": "maven"}}
    requests.post(f"{kantata_sandbox.url}/api/v1/workspaces", json=body, headers=headers, timeout=5)
    assert kantata_sandbox.state()["records"] == {}


class _Books(BaseHTTPRequestHandler):
    """A vendor behind the proxy that does at once what it is asked, and counts it."""

    done: ClassVar[list[bytes]] = []

    def do_POST(self) -> None:
        self.done.append(self.rfile.read(int(self.headers["Content-Length"])))
        self.send_response(200)
        self.end_headers()
        self.wfile.write(b"{}")

    def log_message(self, format: str, *args: Any) -> None:
        """Say nothing."""


@pytest.fixture
def books(tmp_path: Path) -> Iterator[tuple[str, Path]]:
    """Return the address of a proxy before a vendor, and the file of its faults."""
    _Books.done.clear()
    vendor, port, file = ThreadingHTTPServer(("127.0.0.1", 0), _Books), free_port(), tmp_path / "faults.sqlite"
    threading.Thread(target=vendor.serve_forever, daemon=True).start()
    command = [sys.executable, "-m", "psflow.sandbox.fault_proxy", "--port", str(port)]
    proxy = subprocess.Popen([*command, "--upstream", str(vendor.server_port), "--file", str(file)])
    until = time.monotonic() + 20
    while time.monotonic() < until:
        with suppress(OSError):
            socket.create_connection(("127.0.0.1", port), timeout=1).close()
            break
        time.sleep(0.05)
    yield f"http://127.0.0.1:{port}/", file
    proxy.kill()
    proxy.wait()
    vendor.shutdown()


def draft(address: str, timeout_s: float = 5) -> int:
    return requests.post(address, json={"method": "model.account.invoice.create"}, timeout=timeout_s).status_code


def test_an_invoice_that_lands_late_is_not_made_before_the_caller_gives_up(books: tuple[str, Path]) -> None:
    address, file = books
    fault_proxy.arm(file, "model.account.invoice.create", "late_landing")
    with pytest.raises(requests.Timeout):
        draft(address, timeout_s=0.5)
    assert _Books.done == []
    until = time.monotonic() + 5
    while not _Books.done:
        assert time.monotonic() < until, "it never landed"
        time.sleep(0.05)
    assert (draft(address), len(_Books.done)) == (200, 2)


def test_the_plan_for_the_books_strikes_where_invoices_are_made_and_is_counted(books: tuple[str, Path]) -> None:
    address, file = books
    planned = fault_proxy.plan(file, "7")
    assert planned == dict.fromkeys(fault_proxy.FAULTS, 3)
    assert planned == fault_proxy.plan(file.with_name("again.sqlite"), "7")
    for _ in range(60):
        with suppress(requests.RequestException):
            draft(address, timeout_s=0.3)
        with suppress(requests.RequestException):
            requests.post(address, json={"method": "model.party.party.create"}, timeout=0.3)
    state = fault_proxy.state(file)
    assert state["faults"] == planned
    assert state["on_invoices"] == planned | {"error_before": 2}  # the third is a customer's


def test_an_unknown_fault_is_refused(kantata_sandbox: Any) -> None:
    with pytest.raises(requests.HTTPError):
        kantata_sandbox.arm("write", "earthquake")
