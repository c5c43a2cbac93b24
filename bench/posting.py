"""
Writes at a vendor's pace: projects made in the PSA's sandbox by 16 workers who share its budget of calls.

`python -m bench.posting sandbox FILE` serves the sandbox, `… drive URL SANDBOX` is the measured process.
"""

from __future__ import annotations

import socket
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import requests
import uvicorn

from bench import posting_erp
from bench.ground import REGION, ROOT, Ground
from bench.measure import arguments, say
from psflow import config as policy
from psflow.flows.effects import drive
from psflow.store import effects
from psflow.store.accounts import SharedAccount
from psflow.store.connection import Store
from psflow.systems.kantata.client import Kantata
from psflow.systems.kantata.sandbox import app
from psflow.systems.transport import Transport

_IN_FLIGHT, _SECONDS, _TOKEN = 16, 40, "of-the-bench"


def shares(ground: Ground) -> dict[str, float]:
    """Return which share was reached of the rate that the PSA's sandbox allows, and of the ERP's own."""
    file = ground.folder / "kantata.sqlite"
    file.unlink(missing_ok=True)
    with subprocess.Popen(
        [sys.executable, "-m", "bench.posting", "sandbox", str(file)],
        env=ground.environ,
        stdout=subprocess.PIPE,
        text=True,
    ) as sandbox:
        assert sandbox.stdout is not None
        try:
            address = sandbox.stdout.readline().strip()
            said = ground.run("bench.posting", "drive", ground.database("bench_posting"), address)
        finally:
            sandbox.terminate()
    return {"sandbox": said["share"], "tryton": posting_erp.share(ground)}


def serve(file: str) -> None:
    """Serve the sandbox until it is ended."""
    listener = socket.create_server(("127.0.0.1", 0))
    print(f"http://127.0.0.1:{listener.getsockname()[1]}", flush=True)
    config = uvicorn.Config(app(Path(file), _TOKEN), log_level="error", lifespan="off")
    uvicorn.Server(config).run(sockets=[listener])


def measure(url: str, address: str) -> None:
    """Drive what the budget of `psflow.yaml` allows in some seconds, and say which share of the rate was reached."""
    config = policy.load(ROOT / "psflow.yaml")
    profile = config.systems["kantata"]
    assert profile.calls is not None
    allowed = profile.calls / profile.per_s
    settings = {"records": {}, "settings": {"bearer": "bench"}}
    told = requests.post(f"{address}/_sandbox/records", json=settings, headers={"X-Sandbox-Token": _TOKEN}, timeout=30)
    told.raise_for_status()
    keys = _registered(url, round(allowed * _SECONDS))

    def work(mine: list[str]) -> None:
        with Store.open(url, REGION) as store:
            account = SharedAccount(store, config, "kantata", "127.0.0.1")
            psa = Kantata(Transport("kantata", address, profile.deadline_s, account=account), profile, "bench")
            drive(store, config, psa, mine, wait_s=10 * _SECONDS)

    began = time.perf_counter()
    with ThreadPoolExecutor(_IN_FLIGHT) as workers:
        list(workers.map(work, [keys[n::_IN_FLIGHT] for n in range(_IN_FLIGHT)]))
    seconds = time.perf_counter() - began
    with Store.open(url, REGION) as store:
        done = sum(row["state"] == "done" for row in effects.states(store, keys).values())
    say(seconds=seconds, done=done, asked=len(keys), share=done / seconds / allowed)


def _registered(url: str, count: int) -> list[str]:
    wanted = {"name": "Bench", "title": "Bench", "currency": "USD", "engagement_id": "E-1", "epoch": 1}
    new = [
        effects.NewEffect("kantata", "create_project", f"P{n}", wanted | {"project_code": f"P{n}"})
        for n in range(count)
    ]
    with Store.open(url, REGION) as store, store.transaction("bench.registered"):
        return effects.register(store, new)


if __name__ == "__main__":
    if sys.argv[1] == "sandbox":
        serve(sys.argv[2])
    else:
        measure(*arguments()[1:])
