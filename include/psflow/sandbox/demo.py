"""
The demo: a firm's two months from closed-won deals to tied-out invoices and published metrics, on the real local stack.

It starts from nothing each time: business database, ERP, vendors and Airflow's history are made anew. The story is told
(`play`), every number is compared with the firm's own plan (`differences`), people look at the pages if a browser is
asked for (`browser`), and every DAG runs a second time. With FAULTS=weather each vendor fails in every way it can, with
FAULTS=storm (`storm`) processes are killed, too, and the numbers must be the same.
"""

from __future__ import annotations

import json
import os
import signal
import time
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext, suppress
from typing import Any

from rich.console import Console
from rich.markup import escape

from psflow import config
from psflow.errors import ConfigurationError
from psflow.sandbox import differences, meridian, proof, weather
from psflow.sandbox.browser import checks
from psflow.sandbox.browser.chromium import chromium
from psflow.sandbox.play import FAULT_S, Play
from psflow.sandbox.stack import Stack
from psflow.sandbox.storm import Storm
from psflow.sandbox.vendors import VENDORS

_RECORDS = {
    "salesforce": meridian.crm_records,
    "kantata": meridian.psa_records,
    "bamboohr": meridian.hr_records,
    "float": meridian.planner_records,
}


def run(once: bool, with_browser: bool = False) -> int:
    """Play the story, write summary.json and print it; return the exit code. Without `once` wait for Ctrl-C."""
    faults = _faults()
    stack = Stack()
    storm = Storm(stack) if faults == "storm" else None
    tell = Teller(storm)
    if with_browser:
        chromium()  # or say now that it is missing
    stack.airflow.follows_schedules = False  # the story starts each run itself, also at a quarter past
    caches = "warm" if stack.tryton.built else "cold"
    try:
        planned = _start(stack, tell, faults)
        with storm or nullcontext():
            shown = _play(stack, tell, with_browser)
        if faults:
            shown |= {"faults": faults, "faults_planned": planned}
            shown |= {"faults_short": weather.short(planned, shown["faults_injected"])}
        if storm:
            shown["killed"] = storm.killed
        failed = _report(stack, tell, {"caches": caches} | shown)
        if not once:
            _wait(stack, tell)
    finally:
        with tell.step("stop the stack"):
            stack.down()
    return 1 if failed else 0


class Teller:
    """Progress as lines: what was done, what came of it, how long it took. A spinner only where a person looks."""

    def __init__(self, storm: Storm | None = None) -> None:
        self.storm = storm
        self.console = Console(highlight=False, soft_wrap=True)
        self.began = time.monotonic()
        self.steps: dict[str, float] = {}

    @contextmanager
    def step(self, name: str) -> Iterator[list[str]]:
        """Time one step; the block may append what came of it."""
        said: list[str] = []
        began = time.monotonic()
        with self.console.status(escape(name)), self.storm.during(name) if self.storm else nullcontext():
            yield said
        took = time.monotonic() - began
        self.steps[name] = round(self.steps.get(name, 0) + took, 1)
        self.console.print(f"[green]ok[/green] {took:6.1f} s  {escape(name):<44} {escape('; '.join(said))}")


def _start(stack: Stack, tell: Teller, faults: str) -> dict[str, dict[str, int]]:
    """Start all of it with the firm's records, and return vendor -> fault -> how often it is planned."""
    planned: dict[str, dict[str, int]] = {}
    config.load(stack.project / "psflow.yaml")  # before anything is forgotten
    with tell.step("make everything anew"):
        stack.renew()
    with tell.step("start Postgres, Tryton, vendors and Airflow") as said:
        began = time.monotonic()
        stack.up(lambda service: said.append(f"{service} {time.monotonic() - began:.0f} s"))
    with tell.step("the firm's records") as said:
        for vendor in VENDORS:
            stack.vendors.load(vendor, _RECORDS[vendor](), {"hang_s": FAULT_S})
        if faults:
            planned = _plan(stack, f"{faults} {os.environ.get('SEED', '1')}", weather.PLANS[faults])
        said += [f"{vendor} {sum(kinds.values())} faults of {len(kinds)} kinds" for vendor, kinds in planned.items()]
        firm = meridian.current()
        said.append(f"{len(firm.deals)} deals, {len(firm.people)} people, {len(firm.entries)} time entries")
    return planned


def _faults() -> str:
    """Return the fault plan that FAULTS names, or ''. Raises ConfigurationError on a plan nobody knows."""
    asked = os.environ.get("FAULTS", "")
    if asked not in ("", *weather.PLANS):
        raise ConfigurationError(f"FAULTS={asked}: no such fault plan; there are {', '.join(weather.PLANS)}")
    return asked


def _plan(stack: Stack, seed: str, burst: int) -> dict[str, dict[str, int]]:
    """Arm the faults of every vendor; a lost answer and a late landing must strike where invoices are made, too."""
    planned = {str(vendor): stack.vendors.plan(vendor, seed, burst) for vendor in VENDORS}
    books = stack.tryton.plan_faults(seed, burst)
    on_invoices = {fault: books[fault] for fault in ("timeout_after_commit", "late_landing")}
    return planned | {"tryton": books, "tryton, invoices": on_invoices}


def _play(stack: Stack, tell: Teller, with_browser: bool) -> dict[str, Any]:
    play = Play(stack, tell)
    play.master_data()
    play.activations()
    play.openings()
    play.agree()
    play.staff()
    play.work()
    play.bill()
    play.dispute()
    play.correct()
    play.prove()
    play.close()
    found = differences.find(stack)
    shown: dict[str, Any] = {"oracle_differences": len(found), "differences": found[:20]}
    before = proof.digest(stack)
    if with_browser:  # the second pass shows that looking changed nothing, either
        shown["browser_checks"] = _look(stack, tell, play.waiting)
    with tell.step("every DAG a second time") as said:
        play.again()
        changes = proof.changed(before, proof.digest(stack))
        said.append(f"{len(changes)} changes{': ' + ', '.join(changes) if changes else ''}")
    return proof.measure(stack) | shown | {"second_pass_changes": len(changes), "changed": changes}


def _look(stack: Stack, tell: Teller, waiting: str) -> str:
    def say(holds: bool, line: str) -> None:
        tell.console.print(f"  {'[green]ok[/green]  ' if holds else '[red]FAIL[/red]'} {escape(line)}")

    with tell.step("people look at the pages") as said:
        held = checks.check(stack.airflow, stack.state / "browser", waiting, say)
        said.append(f"{held} checks hold; screenshots in {stack.state / 'browser'}")
    return held


def _report(stack: Stack, tell: Teller, summary: dict[str, Any]) -> list[str]:
    """Write summary.json, print it and what to click; return the checks that do not hold."""
    summary = {"seconds": round(time.monotonic() - tell.began, 1)} | summary | {"steps": tell.steps}
    failed = [f"{name}: expected {want}, found {got}" for name, want, got in proof.checks(summary) if want != got]
    place = stack.state / "demo" / "summary.json"
    place.parent.mkdir(parents=True, exist_ok=True)
    place.write_text(json.dumps(summary | {"checks_failed": failed}, indent=1) + "\n")
    say = tell.console.print
    say(f"\n[bold]Summary[/bold] ({place})")
    for name, value in summary.items():
        if name not in ("steps", "faults_planned"):
            say(f"  {name:<24} {escape(_text(value))}")
    for line in failed:
        say(f"[red]FAIL[/red] {escape(line)}")
    if not failed:
        say(f"[green]All {len(proof.checks(summary))} checks hold.[/green]")
    return failed


def _text(value: Any) -> str:
    if isinstance(value, dict):
        return ", ".join(f"{key} {_text(item)}" for key, item in value.items()) or "none"
    return ", ".join(map(str, value)) or "none" if isinstance(value, list) else str(value)


def _wait(stack: Stack, tell: Teller) -> None:
    say, passwords = tell.console.print, stack.airflow.passwords
    say(f"\n[bold]Look around[/bold]  {stack.airflow.url}")
    people = {
        "petra": "PMO lead, works on exceptions",
        "paula": "PMO, reads",
        "carla": "finance, contract terms",
        "fiona": "finance, submits",
        "frank": "finance, approves",
        "engineer": "data engineer",
    }
    for user, who in people.items():
        say(f"  log in as {user:<9} {escape(passwords[user]):<14} {who}")
    say(f"  1. {stack.airflow.url}/psflow/engagements: where every deal stands and who must act")
    say(f"  2. {stack.airflow.url}/psflow/exceptions as petra: assign, comment, retry; as paula: only look")
    say("  3. as frank: Browse > Required Actions: one batch waits for your word; nothing of it is posted yet")
    say("  4. finance's tables (psql or any tool): finance.invoice_tie_out, finance.unbilled, finance.revenue_monthly")
    say(f"       {escape(stack.database_url('psflow_finance'))}")
    say("  5. one record's whole history: .venv/bin/psflow trace P-1001")
    say("Ctrl-C stops everything.")
    with suppress(KeyboardInterrupt):
        signal.pause()
