"""The firm's acceptance cases through the real engine: every expected value, and none that a known mistake gives."""

from __future__ import annotations

import datetime as dt
import json
import os
from decimal import Decimal, InvalidOperation
from pathlib import Path
from typing import Any

import pytest

from tests.cases import answers
from tests.cases.office import Office

FILE = Path(os.environ.get("PSFLOW_CASES") or Path(__file__).with_name("cases.json"))
GIVEN = json.loads(FILE.read_text(encoding="utf-8"))["cases"]
CASES = {case["id"]: case for case in GIVEN if answers.of(case)}
BILLING = {
    "rates", "billing/cap", "billing/time rounding", "tax", "credit & rebill", "edit after invoice", "period close",
    "milestone", "retainer", "expenses", "resilience",
}  # fmt: skip


def plain(value: Any) -> Any:
    """A value as it compares: a number whatever way it is written, a day, or its words."""
    if isinstance(value, bool) or value is None:
        return value
    if isinstance(value, dt.date):
        return value.isoformat()
    if isinstance(value, dict):
        return {key: plain(part) for key, part in value.items()}
    if isinstance(value, list | tuple):
        return [plain(part) for part in value]
    try:
        return Decimal(str(value))
    except InvalidOperation:
        return value


def asked(expected: Any, found: Any) -> Any:
    """Of what was found, as much as was expected: a case need not name everything."""
    if isinstance(expected, dict) and isinstance(found, dict):
        return {key: asked(part, found.get(key, "not answered")) for key, part in expected.items()}
    if isinstance(expected, list) and isinstance(found, list) and len(expected) == len(found):
        return [asked(one, other) for one, other in zip(expected, found, strict=True)]
    return found


@pytest.mark.parametrize("case", CASES.values(), ids=CASES)
def test_a_case_comes_out_as_the_firm_expects_and_not_as_a_known_mistake(office: Office, case: dict[str, Any]) -> None:
    answer = answers.of(case)
    assert answer
    found = answer(office, case)
    assert plain(asked(case["expected"], found.says)) == plain(case["expected"])
    for scenario in case.get("scenarios", ()):
        assert found.scenarios[scenario["id"]] == scenario["expected"]
    for mistake in case.get("must_not", ()):
        for name, wrong in mistake.items():
            if name not in ("why", "note"):
                assert name in found.named, f"{name}: the answer does not name it"
                assert plain(found.named[name]) != plain(wrong), mistake


def test_no_case_of_billing_is_left_without_an_answer() -> None:
    assert [case["id"] for case in GIVEN if case["area"] in BILLING and case["id"] not in CASES] == []
