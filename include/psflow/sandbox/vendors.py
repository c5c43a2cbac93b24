"""
The vendors' sandboxes, each a local process over a SQLite file.

Seeds, faults and counts go through the files, which the servers read afresh at every request: no HTTP client is
needed here and a killed server loses nothing. `python -m psflow.sandbox.vendors --help` is what a process runs.
"""

from __future__ import annotations

import argparse
import importlib
import os
import secrets
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import psutil

from psflow.errors import ConfigurationError
from psflow.sandbox.processes import end, find, free_port, keep, kept

if TYPE_CHECKING:
    from psflow.sandbox.vendor_app import Shelf

Vendor = Literal["salesforce", "kantata", "bamboohr", "float"]
VENDORS: tuple[Vendor, ...] = ("salesforce", "kantata", "bamboohr", "float")
_TOKEN = "PSFLOW_SANDBOX_TOKEN"  # in the environment: a command line is everybody's to read


@dataclass(frozen=True, slots=True)
class Credentials:
    """What the sandboxes accept, generated once a state folder and kept in a file only its owner reads."""

    control_token: str = field(default_factory=lambda: secrets.token_urlsafe(24), repr=False)
    client_id: str = field(default_factory=lambda: secrets.token_hex(12))
    client_secret: str = field(default_factory=lambda: secrets.token_urlsafe(24), repr=False)
    bearer: str = field(default_factory=lambda: secrets.token_urlsafe(24), repr=False)
    api_key: str = field(default_factory=lambda: secrets.token_hex(20), repr=False)
    float_token: str = field(default_factory=lambda: secrets.token_urlsafe(24), repr=False)


class Vendors:
    """The sandboxes of one state folder. Ports stay the same between starts unless somebody else took one."""

    def __init__(self, state_dir: Path) -> None:
        state_dir.mkdir(parents=True, exist_ok=True)
        self.state_dir = state_dir
        kept = self._kept()
        self.credentials = Credentials(**kept["credentials"])
        self.ports: dict[str, int] = kept["ports"]

    @property
    def salesforce_url(self) -> str:
        """Base URL of the Salesforce sandbox."""
        return f"http://127.0.0.1:{self.ports['salesforce']}"

    @property
    def kantata_url(self) -> str:
        """Base URL of the Kantata sandbox."""
        return f"http://127.0.0.1:{self.ports['kantata']}"

    @property
    def bamboohr_url(self) -> str:
        """Base URL of the BambooHR sandbox."""
        return f"http://127.0.0.1:{self.ports['bamboohr']}"

    @property
    def float_url(self) -> str:
        """Base URL of the Float sandbox."""
        return f"http://127.0.0.1:{self.ports['float']}"

    def start(self, wait_s: float = 20) -> None:
        """Start what does not run and wait until all accept. Raises ConfigurationError with the log's place."""
        c = self.credentials
        self.load("salesforce", settings={"client_id": c.client_id, "client_secret": c.client_secret})
        self.load("kantata", settings={"bearer": c.bearer})
        self.load("bamboohr", settings={"api_key": c.api_key})
        self.load("float", settings={"token": c.float_token})
        started = {vendor: self._spawn(vendor) for vendor in VENDORS if self.process(vendor) is None}
        for vendor, child in started.items():
            self._await(vendor, child, time.monotonic() + wait_s)

    def stop(self) -> None:
        """Stop all. Their records stay."""
        for vendor in VENDORS:
            self.signal(vendor, signal.SIGTERM)

    def signal(self, vendor: Vendor, number: signal.Signals) -> None:
        """Send a signal to a vendor's process if it runs (SIGKILL shows what survives) and wait for its end."""
        if process := self.process(vendor):
            end([process], number, wait_s=5)
        self._pid_file(vendor).unlink(missing_ok=True)

    def load(
        self,
        vendor: Vendor,
        records: dict[str, list[dict[str, Any]]] | None = None,
        settings: dict[str, Any] | None = None,
    ) -> dict[str, int]:
        """Load seed records and settings; the same id replaces. Raises ValueError on a record out of shape."""
        from psflow.sandbox import vendor_app

        dialect = importlib.import_module(f"psflow.systems.{vendor}.sandbox").DIALECT
        with self._shelf(vendor) as shelf:
            return vendor_app.load(shelf, dialect, {"records": records or {}, "settings": settings or {}})

    def arm(self, vendor: Vendor, match: str, fault: str, times: int = 1) -> None:
        """Arm a fault (`weather.FAULTS`) for the next requests that start with `METHOD /path`."""
        from psflow.sandbox import vendor_app

        with self._shelf(vendor) as shelf:
            vendor_app.arm(shelf, match, fault, times)

    def plan(self, vendor: Vendor, seed: str, burst: int = 0) -> dict[str, int]:
        """Arm every fault this vendor can make (`weather.plan`); returns fault -> how often."""
        from psflow.sandbox import vendor_app

        dialect = importlib.import_module(f"psflow.systems.{vendor}.sandbox").DIALECT
        with self._shelf(vendor) as shelf:
            return vendor_app.plan(shelf, dialect, f"{vendor}:{seed}", burst=burst)

    def state(self, vendor: Vendor) -> dict[str, Any]:
        """Return counts per record kind, reads, writes and faults injected."""
        with self._shelf(vendor) as shelf:
            return shelf.state()

    def records(self, vendor: Vendor, kind: str) -> list[dict[str, Any]]:
        """Return a kind's records as the vendor keeps them."""
        with self._shelf(vendor) as shelf:
            return shelf.select(kind, "true", [], "ORDER BY length(id), id")

    def reset(self) -> None:
        """Forget records, counters and faults of all; credentials and settings stay."""
        for vendor in VENDORS:
            with self._shelf(vendor) as shelf, shelf.db:
                shelf.reset()

    @contextmanager
    def _shelf(self, vendor: Vendor) -> Iterator[Shelf]:
        from psflow.sandbox.vendor_app import Shelf

        shelf = Shelf(self._file(vendor))
        try:
            yield shelf
        finally:
            shelf.db.close()

    def _file(self, vendor: Vendor) -> Path:
        return self.state_dir / f"{vendor}.sqlite"

    def _pid_file(self, vendor: Vendor) -> Path:
        return self.state_dir / f"{vendor}.pid"

    def _kept(self) -> dict[str, Any]:
        """Return the folder's credentials and ports, made on first use; a vendor that came later gets its own."""
        file = self.state_dir / "vendors.json"
        found: dict[str, Any] = kept(file)
        whole = {
            "credentials": asdict(Credentials()) | found.get("credentials", {}),
            "ports": {vendor: free_port() for vendor in VENDORS} | found.get("ports", {}),
        }
        if whole != found:
            keep(file, whole)
        return whole

    def _spawn(self, vendor: Vendor) -> subprocess.Popen[bytes]:
        if free_port(self.ports[vendor]) != self.ports[vendor]:  # somebody else took it meanwhile
            self.ports[vendor] = free_port()
            keep(self.state_dir / "vendors.json", self._kept() | {"ports": self.ports})
        command = [sys.executable, "-m", "psflow.sandbox.vendors", "--vendor", vendor]
        command += ["--port", str(self.ports[vendor]), "--file", str(self._file(vendor))]
        with (self.state_dir / f"{vendor}.log").open("ab") as log:
            child = subprocess.Popen(
                command, stdout=log, stderr=log, start_new_session=True,
                env=os.environ | {_TOKEN: self.credentials.control_token},
            )  # fmt: skip
        self._pid_file(vendor).write_text(str(child.pid))
        return child

    def process(self, vendor: Vendor) -> psutil.Process | None:
        """Return this vendor's process; a number that now belongs to another program is not ours."""
        try:
            pid = int(self._pid_file(vendor).read_text())
        except (FileNotFoundError, ValueError):
            return None
        return find(pid, str(self._file(vendor)))

    def _await(self, vendor: Vendor, child: subprocess.Popen[bytes], until: float) -> None:
        while time.monotonic() < until and child.poll() is None:  # its command line shows only a moment after
            try:
                socket.create_connection(("127.0.0.1", self.ports[vendor]), timeout=1).close()
                return
            except OSError:
                time.sleep(0.05)
        raise ConfigurationError(f"the {vendor} sandbox did not start; see {self.state_dir / f'{vendor}.log'}")


def main() -> None:
    """Serve one vendor on 127.0.0.1 until told to stop."""
    import uvicorn

    parser = argparse.ArgumentParser(description="Serve one vendor's sandbox on 127.0.0.1.")
    parser.add_argument("--vendor", choices=VENDORS, required=True)
    parser.add_argument("--port", type=int, required=True)
    parser.add_argument("--file", type=Path, required=True, help="SQLite file of the vendor's records")
    given = parser.parse_args()
    app = importlib.import_module(f"psflow.systems.{given.vendor}.sandbox").app(given.file, os.environ[_TOKEN])
    uvicorn.run(app, host="127.0.0.1", port=given.port, log_level="warning", timeout_graceful_shutdown=1)


if __name__ == "__main__":
    main()
