"""What is agreed with a customer comes in from a file and is billed; a wrong piece stops nothing."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from psflow.cli import terms as command
from psflow.config import Person
from psflow.errors import ConfigurationError, NeedsReview
from psflow.flows import terms
from tests.flows.conftest import Firm
from tests.flows.test_billing_cli import psflow
from tests.flows.test_billing_contracts import ledger

HEAD = "P-1001:\n  currency: USD\n  agreed_on: 2026-10-01\n  reason: SOW 3\n"
BUILD = (
    "  terms:\n    build:\n      kind: milestone\n      price: 90000.10\n      lines:\n"
    "        - {milestone_id: M1, title: Design, share: 1}\n        - {milestone_id: M2, title: Go-live, share: 2}\n"
)
CAP = "  caps:\n    - {level: contract, limit_amount: 300.00}\n"
RATE = "  rates:\n    - {role: Consultant, valid_from: 2026-01-01, hourly_rate: 150.25}\n"
REST = (
    "  increments:\n    - {valid_from: 2026-01-01, minutes: 15}\n"
    "  expenses:\n    - {category: Travel, valid_from: 2026-01-01, markup_pct: 5}\n"
)
ALL = HEAD + BUILD + CAP + RATE + REST


@pytest.fixture
def office(firm: Firm, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> tuple[Firm, Path]:
    """A firm with one active project and rita, who edits rates."""
    firm.start()
    rita = Person(person="P-401", airflow_user="rita", teams=("finance",), may=("rates",))
    firm.config = firm.config.model_copy(update={"people": (*firm.config.people, rita)})

    @contextmanager
    def opened() -> Iterator[Any]:
        yield firm.store, firm.config

    monkeypatch.setattr(command, "open_store", opened)
    return firm, tmp_path / "terms.yaml"


def load(office: tuple[Firm, Path], text: str) -> tuple[int, list[str]]:
    firm, path = office
    path.write_text(text, encoding="utf-8")
    return terms.load(firm.store, firm.config, path, "rita")


def told(firm: Firm) -> int:
    return int(firm.store.value("select count(*) from ops.audit where action = 'terms.set' and actor = 'P-401'"))


def test_terms_go_in_once_and_the_same_file_again_changes_nothing(office: tuple[Firm, Path]) -> None:
    assert load(office, ALL) == (5, [])
    assert load(office, ALL) == (0, [])
    firm = office[0]
    assert told(firm) == 5
    assert firm.store.value("select terms ->> 'price' from core.contract_term") == "90000.10"
    assert "P-401" in firm.store.value("select array_agg(person) from ops.person_statement where until is null")


def test_a_changed_term_is_a_new_version_and_the_audit_has_both(office: tuple[Firm, Path]) -> None:
    load(office, ALL)
    assert load(office, ALL.replace("90000.10", "95000").replace("300.00", "400")) == (2, [])
    firm = office[0]
    versions = firm.store.rows("select version, terms ->> 'price' as price from core.contract_term order by version")
    assert [(row["version"], row["price"]) for row in versions] == [(1, "90000.10"), (2, "95000")]
    details = firm.store.rows("select detail from ops.audit where action = 'terms.set' order by audit_id desc limit 2")
    assert details[0]["detail"]["before"]["limit_amount"] == "300.000"
    assert details[1]["detail"]["before"]["price"] == "90000.10"
    assert details[1]["detail"]["after"]["price"] == "95000" and details[1]["detail"]["reason"] == "SOW 3"


def test_loaded_price_steps_and_cap_are_what_is_billed(office: tuple[Firm, Path]) -> None:
    load(office, HEAD + CAP + RATE + REST)
    firm = office[0]
    firm.log(1, 50)
    firm.log(2, 600)
    firm.load_time()
    firm.bill()
    assert ledger(firm) == [("1.1", Decimal("150.250")), ("2.1", Decimal("149.750"))]


def test_a_price_that_hours_are_billed_at_keeps_its_number_and_may_end(office: tuple[Firm, Path]) -> None:
    firm = office[0]
    load(office, HEAD + RATE)
    firm.log(1, 60)
    firm.load_time()
    firm.bill()
    changed, (wrong,) = load(office, HEAD + RATE.replace("150.25", "160"))
    assert changed == 0 and ":6:" in wrong and "hours are billed at 150.2500; end it with valid_to" in wrong
    assert firm.store.value("select hourly_rate from core.agreed_rate") == Decimal("150.2500")
    assert load(office, HEAD + RATE.replace("hourly_rate", "valid_to: 2026-12-31, hourly_rate")) == (1, [])


@pytest.mark.parametrize(
    ("text", "place", "what"),
    [
        (ALL.replace("300.00", "-3"), "10:33", "caps.0.limit_amount: Input should be greater than or equal to 0"),
        (ALL.replace("300.00", "1,000"), "10", "caps.0"),
        (ALL.replace("150.25", "free"), "12", "rates.0.hourly_rate"),
        (ALL.replace("role: Consultant, ", ""), "12:7", "rates.0: role, resource_id: give at least one"),
        (ALL.replace("kind: milestone", "kind: barter"), "7", "terms.build"),
        (ALL.replace("price: 90000.10", "price: none"), "9:", "terms.build.price"),
        (ALL.replace("markup_pct", "mark_up"), "16:", "expenses.0.mark_up: there is no such key"),
        (ALL.replace("minutes: 15", "minutes: 0"), "14:", "increments.0.minutes"),
    ],
)
def test_a_wrong_piece_is_told_with_its_place_and_the_others_go_in(
    office: tuple[Firm, Path], text: str, place: str, what: str
) -> None:
    changed, wrong = load(office, text)
    assert changed == 4 and wrong
    assert what in wrong[0] and wrong[0].startswith(f"{office[1]}:"), wrong


@pytest.mark.parametrize(
    ("text", "told"),
    [
        (HEAD.replace("P-1001", "P-9999") + CAP, "1:1: P-9999: P-9999 is no project, engagement or contract"),
        (HEAD.replace("USD", "EUR") + CAP, "2:3: P-1001.currency: the contract is in USD; correct it (got 'EUR')"),
        (HEAD.replace("  reason: SOW 3\n", "") + CAP, "1:1: P-1001.reason: Field required"),
        (HEAD + "  discounts: []\n", "5:3: P-1001.discounts: there is no such key"),
        (HEAD + "  caps: 5\n", "5:3: P-1001.caps: must be a list"),
        ("P-1001: 5\n", "1:1: P-1001: has no agreements"),
        (HEAD + CAP + "    - {level: contract, limit_amount: 9}\n", "7:7: P-1001.caps.1: is the same agreement as"),
    ],
)
def test_a_wrong_block_is_told_with_its_place(office: tuple[Firm, Path], text: str, told: str) -> None:
    _, wrong = load(office, text)
    assert wrong[0].startswith(f"{office[1]}:{told}"), wrong


def test_a_file_that_is_no_yaml_or_not_there_is_refused_whole(office: tuple[Firm, Path]) -> None:
    for text in ("P-1001: [", "", "- a\n", HEAD + HEAD):
        with pytest.raises(ConfigurationError, match=r"terms\.yaml:\d"):
            load(office, text)
    office[1].unlink()
    with pytest.raises(ConfigurationError, match="cannot be read"):
        terms.load(office[0].store, office[0].config, office[1], "rita")


def test_who_does_not_edit_rates_loads_no_terms(office: tuple[Firm, Path]) -> None:
    office[1].write_text(ALL)
    with pytest.raises(NeedsReview, match="fiona may not set terms; it takes the duty rates"):
        terms.load(office[0].store, office[0].config, office[1], "fiona")


def test_an_accepted_milestone_is_billed_and_its_deliverer_cannot_accept_it(office: tuple[Firm, Path]) -> None:
    load(office, HEAD + BUILD)
    words = ("accept", "M1", "--project", "P-1001", "--as", "paula", "--evidence", "protocol 7", "--on", "2026-10-20")
    for deliverer in ("P-201", "Paula"):
        refused = psflow(*words, "--delivered-by", deliverer)
        assert refused.exit_code == 1 and "another person accepts it" in refused.output
    assert "has no milestone 'M9'; it has M1, M2" in psflow("accept", "M9", *words[2:], "--delivered-by", "x").output
    assert psflow(*words, "--delivered-by", "ada").exit_code == 0
    assert "accepted already" in psflow(*words, "--delivered-by", "ada").output
    office[0].bill()
    ((_, amount),) = ledger(office[0])
    assert amount == Decimal("30000.030")


def test_what_counts_today_is_said_in_words(office: tuple[Firm, Path]) -> None:
    office[1].write_text(ALL)
    assert "5 agreements are new or changed" in psflow("terms", "load", str(office[1]), "--as", "rita").output
    shown = psflow("terms", "show", "P-1001").output
    assert "milestone build, version 1 of 2026-10-01 (SOW 3), in USD: price 90000.10" in shown
    assert "300.000 USD, hard: an entry is split at it" in shown
    assert "price of Consultant: 150.2500 USD an hour from 2026-01-01" in shown
    assert "billed in steps of 15 minutes" in shown and "expense Travel: its cost, markup 5.0000 %" in shown
    office[1].write_text(ALL.replace("300.00", "free"))
    done = psflow("terms", "load", str(office[1]), "--as", "rita")
    assert done.exit_code == 1 and "0 agreements" in done.output and "(got 'free')" in done.output


def test_an_entry_is_credited_by_two_persons_who_may(office: tuple[Firm, Path]) -> None:
    firm = office[0]
    firm.log(1, 60)
    firm.load_time()
    firm.bill()
    words = ("adjust", "credit", "1", "--entity", "MER-US", "--reason", "agreed", "--hours", "0.5")
    assert "paula may not submit for MER-US" in psflow(*words, "--asked", "paula", "--as", "frank").output
    assert "fiona may not approve for MER-US" in psflow(*words, "--asked", "fiona", "--as", "fiona").output
    assert "credit of 1: 90.25" in psflow(*words, "--asked", "fiona", "--as", "frank").output
    assert "neither credit nor write_off" in psflow("adjust", "gift", *words[2:], "--asked", "a", "--as", "b").output
