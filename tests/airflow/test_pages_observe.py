"""The page Observe: a month billed again, for people of its legal entity, and nothing is kept."""

from __future__ import annotations

import pytest

from psflow import config as policy_of
from psflow.config import Config
from tests.airflow.pages import Browse, browse, manager
from tests.airflow.test_pages import read
from tests.flows.conftest import Firm
from tests.flows.test_observe import everything

__all__ = ["browse", "manager"]
MONTH = "/observe?entity=MER-US&period=2026-10"


@pytest.fixture
def billed(firm: Firm, monkeypatch: pytest.MonkeyPatch, config: Config) -> Firm:
    """An hour that was billed, and one that came too late; engineer is of the other legal entity."""
    people = [
        p.model_dump() | ({"entities": ("MER-EU",)} if p.airflow_user == "engineer" else {}) for p in config.people
    ]
    firm.config = Config.model_validate(config.model_dump() | {"people": people})
    monkeypatch.setattr(policy_of, "load", lambda path=None: firm.config)
    firm.start()
    firm.log(1, 60)
    firm.load_time()
    firm.bill()
    firm.log(2, 30, updated_at="2026-11-20T08:00:00Z")
    firm.load_time()
    return firm


def test_the_page_shows_billed_and_should_be_by_cause_and_entry(browse: Browse, billed: Firm, admin_url: str) -> None:
    before = everything(admin_url)
    page = read(browse("frank"), MONTH)
    for said in ("180.50 USD", "270.75 USD", "-90.25 USD", "late hour", "on no bill", "0.50 h worked, at 180.5"):
        assert said in page, said
    assert "1 line differs" in page and "/observe/xlsx?entity=MER-US&amp;period=2026-10" in page
    assert everything(admin_url) == before


def test_the_workbook_is_the_same_month(browse: Browse, billed: Firm) -> None:
    answer = browse("frank").get("/observe/xlsx?entity=MER-US&period=2026-10")
    assert answer.status_code == 200 and answer.content[:2] == b"PK"
    assert answer.headers["content-disposition"] == 'attachment; filename="observe-2026-10.xlsx"'


def test_a_month_of_another_legal_entity_is_not_there(browse: Browse, billed: Firm) -> None:
    for path in (MONTH, MONTH.replace("/observe", "/observe/xlsx")):
        assert browse("engineer").get(path).status_code == 404
        assert browse("stranger").get(path).status_code == 404
    assert "MER-US" not in read(browse("engineer"), "/observe").partition("<form class")[2].partition("</form>")[0]
    assert browse("frank").get("/observe?entity=nobody&period=2026-10").status_code == 404
    assert browse("frank").get("/observe?entity=MER-US&period=2026-13").status_code == 422
