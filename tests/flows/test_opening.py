"""What was billed before psflow comes in once a project; a wrong row is told with its place and stops nothing."""

from __future__ import annotations

from pathlib import Path

import pytest

from psflow.errors import ConfigurationError
from psflow.flows import opening
from psflow.store.connection import Store
from tests.flows.conftest import Firm

HEAD = "project_code,as_of,hours,amount,currency\n"
P1 = "P-1001,2026-09-01,120.5,21750.25,USD\n"


@pytest.fixture
def balances(firm: Firm, tmp_path: Path) -> Path:
    firm.start()
    return tmp_path / "opening.csv"


def loaded(store: Store) -> list[tuple[str, str]]:
    rows = store.rows("select project_code, amount from billing.opening_balance")
    return [(row["project_code"], str(row["amount"])) for row in rows]


def test_a_balance_goes_in_once(firm: Firm, balances: Path) -> None:
    balances.write_text(HEAD + P1)
    assert opening.load(firm.store, balances) == (1, [])
    assert opening.load(firm.store, balances) == (0, [])
    assert loaded(firm.store) == [("P-1001", "21750.250")]


def test_a_spreadsheet_s_byte_order_mark_and_blanks_do_no_harm(firm: Firm, balances: Path) -> None:
    balances.write_text("\ufeff" + HEAD + P1.replace("USD", " USD "), encoding="utf-8")
    assert opening.load(firm.store, balances) == (1, [])


@pytest.mark.parametrize(
    ("row", "told"),
    [
        ("P-9999,2026-09-01,1,1,USD\n", "2: project_code: P-9999: no such project"),
        ("P-1001,2026-09-01,1,1,EUR\n", "2: project_code: P-1001: the project is in USD, the balance in EUR"),
        ("P-1001,1.9.26,1,1,USD\n", "2: as_of:"),
        ("P-1001,2026-09-01,,1,USD\n", "2: hours:"),
        ("P-1001,2026-09-01,-1,1,USD\n", "2: hours:"),
        ('P-1001,2026-09-01,1,"1,000.00",USD\n', "2: amount:"),
        ("P-1001,2026-09-01,1,1,usd\n", "2: currency:"),
    ],
)
def test_a_wrong_row_is_told_with_line_and_column_and_the_next_goes_in(
    firm: Firm, balances: Path, row: str, told: str
) -> None:
    balances.write_text(HEAD + row + P1)
    new, (wrong,) = opening.load(firm.store, balances)
    assert new == 1
    assert wrong.startswith(f"{balances}:{told}")


def test_a_balance_is_not_changed_by_a_second_file(firm: Firm, balances: Path) -> None:
    balances.write_text(HEAD + P1)
    opening.load(firm.store, balances)
    balances.write_text(HEAD + P1.replace("21750.25", "1"))
    assert opening.load(firm.store, balances)[1] == [
        f"{balances}:2: project_code: P-1001: was loaded before with other numbers; they stay"
    ]
    assert loaded(firm.store) == [("P-1001", "21750.250")]


def test_a_file_without_a_column_or_no_file_is_refused_whole(firm: Firm, balances: Path) -> None:
    with pytest.raises(ConfigurationError, match="cannot be read"):
        opening.load(firm.store, balances)
    balances.write_text("project_code,amount\nP-1001,1\n")
    with pytest.raises(ConfigurationError, match="lacks the columns as_of, currency, hours"):
        opening.load(firm.store, balances)
