"""`psflow explain` and `psflow plan billing` at a terminal: words, JSON and a workbook; nothing is changed."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from zipfile import is_zipfile

import pytest
from typer.testing import CliRunner, Result

from psflow.cli import app, billing
from tests.flows.conftest import Firm


@pytest.fixture
def stack(firm: Firm, monkeypatch: pytest.MonkeyPatch) -> Firm:
    """The firm's database where the local stack's would be, with an hour that is not billed yet."""

    @contextmanager
    def opened() -> Iterator[Any]:
        yield firm.store, firm.config

    monkeypatch.setattr(billing, "open_store", opened)
    firm.start()
    firm.log(88, 90)
    firm.load_time()
    return firm


def psflow(*words: str) -> Result:
    return CliRunner().invoke(app, list(words), env={"COLUMNS": "300"})


def test_a_plan_is_printed_and_nothing_is_kept(stack: Firm) -> None:
    done = psflow("plan", "billing", "--entity", "MER-US", "--period", "2026-10")
    assert done.exit_code == 0, done.output
    for text in ("if it were frozen now", "the gate has not looked", "270.750", "Consultant", "What is not in it"):
        assert text in done.output, text
    assert stack.store.value("select count(*) from billing.batch") == 0


def test_a_plan_of_the_open_batch_has_its_hash_and_a_workbook(stack: Firm, tmp_path: Path) -> None:
    stack.approve()
    file = tmp_path / "plan.xlsx"
    done = psflow("plan", "billing", "--entity", "MER-US", "--period", "2026-10", "--json", "--xlsx", str(file))
    plan = json.loads(done.output)
    assert plan["plan_hash"] == stack.store.value("select plan_hash from billing.plan")
    assert plan["tables"]["totals"][0]["amount"] == "270.750" and is_zipfile(file)


def test_nothing_to_bill_and_a_wrong_period_are_said(stack: Firm) -> None:
    stack.bill()
    assert "nothing to bill for MER-US up to 2026-10-31" in psflow(
        "plan", "billing", "--entity", "MER-US", "--period", "2026-10"
    ).output  # fmt: skip
    wrong = psflow("plan", "billing", "--entity", "MER-US", "--period", "October")
    assert wrong.exit_code == 1 and "--period 'October' is not YYYY-MM" in wrong.output


def test_an_amount_is_explained_in_words_and_as_json(stack: Firm) -> None:
    stack.bill()
    said = psflow("explain", "MER-US.2026-10.1.P-1001").output
    assert "USD 270.75 without tax" in said and "because Consultant costs USD 180.50 an hour" in said
    (told,) = json.loads(psflow("explain", "88.1", "--json").output)
    assert (told["kind"], told["amount"], told["currency"]) == ("charge", "270.750", "USD")


def test_an_unknown_id_is_one_message_with_what_is_near(stack: Firm) -> None:
    stack.bill()
    done = psflow("explain", "MER-US.2026-10.9.P-1001")
    assert done.exit_code == 1 and "near it are MER-US.2026-10.1.P-1001" in done.output
