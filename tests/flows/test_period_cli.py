"""`psflow close` and `psflow dispute` at a terminal: the controls like a test run, in words and as JSON."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest

from psflow.cli import period
from psflow.flows import reconciliation
from psflow.flows.period_source import read_source
from tests.flows.conftest import Firm
from tests.flows.test_billing_cli import psflow
from tests.flows.test_period import OCTOBER, state

WHERE = ("--entity", "MER-US", "--period", "2026-10")


@pytest.fixture
def stack(firm: Firm, monkeypatch: pytest.MonkeyPatch) -> Firm:
    """The firm's database where the local stack's would be, with an hour that was billed."""

    @contextmanager
    def opened() -> Iterator[Any]:
        yield firm.store, firm.config

    monkeypatch.setattr(period, "open_store", opened)
    firm.start()
    firm.log(1, 90)
    firm.load_time()
    firm.bill()
    reconciliation.read_erp(firm.store, firm.erp)
    return firm


def test_the_controls_are_printed_like_a_test_run_and_a_break_is_named(stack: Firm) -> None:
    done = psflow("close", "check", *WHERE)
    assert done.exit_code == 1 and "9 tied, 1 broken: MER-US 2026-10" in done.output
    assert "K1  BROKEN" in done.output and "was not read at its source yet" in done.output
    read_source(stack.store, stack.psa, OCTOBER)
    done = psflow("close", "check", *WHERE)
    assert done.exit_code == 0 and "10 tied, 0 broken" in done.output
    assert "K4  tied  Each invoice is one posted document" in done.output and "1 records, 270.75 USD" in done.output
    assert stack.store.value("select count(*) from ops.close") == 0


def test_the_controls_as_json_have_their_hash(stack: Firm) -> None:
    read_source(stack.store, stack.psa, OCTOBER)
    told = json.loads(psflow("close", "check", *WHERE, "--json").output)
    assert [one["control"] for one in told][:4] == ["K1", "K2", "K3", "K4"]
    assert all(len(one["content_hash"]) == 64 for one in told if one["records"])


def test_a_month_is_soft_closed_and_opened_again_by_who_may(stack: Firm) -> None:
    assert psflow("close", "soft", *WHERE, "--reason", "auditor", "--as", "frank").exit_code == 0
    assert state(stack) == "soft_closed"
    refused = psflow("close", "reopen", *WHERE, "--reason", "x", "--as", "fiona")
    assert refused.exit_code == 1 and "fiona may not close or open periods" in refused.output
    assert psflow("close", "reopen", *WHERE, "--reason", "auditor is done", "--as", "frank").exit_code == 0
    assert state(stack) == "open"


def test_a_dispute_is_raised_listed_and_ended(stack: Firm) -> None:
    invoice = "MER-US.2026-10.1.P-1001"
    words = (invoice, "--reason", "too slow", "--owner", "frank", "--as", "fiona")
    assert "'1,5' is no number" in psflow("dispute", "raise", *words, "--amount", "1,5").output
    assert "dispute 1: open" in psflow("dispute", "raise", *words, "--amount", "90.25").output
    assert invoice in psflow("dispute", "list").output
    done = psflow(
        "dispute", "credit", "1", "--entry", "1=0.5", "--reason", "agreed", "--asked", "fiona", "--as", "frank"
    )
    assert "dispute 1: 90.25" in done.output, done.output
    assert invoice not in psflow("dispute", "list").output
    refused = psflow("dispute", "reject", "1", "--reason", "x", "--as", "frank")
    assert refused.exit_code == 1 and "was credited before" in refused.output
    assert "period 'October' is not YYYY-MM" in psflow("close", "check", *WHERE[:3], "October").output
