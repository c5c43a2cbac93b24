"""The page of what is not billed: each number is the number of its rows, and each row says why it waits."""

from __future__ import annotations

import re
from itertools import product

import pytest

from psflow.gates.suite import FailingRow
from tests.airflow.pages import Browse, browse, manager
from tests.airflow.test_pages_entities import SEES, both, policy
from tests.flows.conftest import Firm, PassGate
from tests.flows.test_billing_contracts import cap, say

__all__ = ["both", "browse", "manager", "policy"]


@pytest.fixture
def waiting(firm: Firm) -> Firm:
    """A firm with hours billed up to a cap, one that is held, one without a price and one to be billed."""
    firm.start()
    cap(firm, "200.00")
    firm.log(1, 90)
    firm.log(2, 60)
    firm.log(3, 60, role_id="1")  # a partner, whom no card has
    firm.load_time(PassGate(3, (FailingRow("2", "minutes", "60", "TE-01", "<i>odd</i>"),)))
    firm.bill()
    say(firm, "update billing.cap set limit_amount = 10000")
    firm.log(4, 60, date_performed="2026-11-03")
    firm.load_time()
    return firm


def main(browse: Browse, address: str, user: str = "petra") -> str:
    answer = browse(user).get(address)
    assert answer.status_code == 200, answer.text
    return answer.text.partition("<main")[2]


def test_each_number_leads_to_as_many_rows_and_the_money_is_beside_it(browse: Browse, waiting: Firm) -> None:
    page = main(browse, "/unbilled")
    numbers = re.findall(r'href="/psflow(/unbilled\?reason=[^"]+age=[^"]+)">(\d+)</a>', page)
    assert sum(int(count) for _, count in numbers) == page.count('<th scope="row" class="nowrap">') == 4
    for address, count in numbers:
        rows = main(browse, address.replace("&amp;", "&")).count('<th scope="row" class="nowrap">')
        assert rows == int(count), address
    assert "70.75 USD" in page and "200.00 USD" in page  # over the cap, and for the next batch


def test_each_row_says_why_and_leads_on(browse: Browse, waiting: Firm) -> None:
    held = main(browse, "/unbilled?reason=held")
    assert "&lt;i&gt;odd&lt;/i&gt;" in held and 'href="/psflow/exceptions/' in held
    assert 'href="/psflow/explain/1?kind=entry"' in main(browse, "/unbilled?reason=over+cap")
    assert "No entries here" in main(browse, "/unbilled?project=P-9")


def test_nobody_sees_the_work_of_another_legal_entity(browse: Browse, both: Firm) -> None:
    for user, (code, entity) in product(SEES, (("P-1001", "MER-US"), ("P-1002", "MER-EU"))):
        assert (code in main(browse, "/unbilled", user)) == (entity in SEES[user]), f"{user} {code}"
