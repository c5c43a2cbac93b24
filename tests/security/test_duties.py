"""Duties kept apart in Postgres, by person: who has a stake in a batch lets it not pass, whatever Airflow says."""

from __future__ import annotations

from typing import Any

import psycopg
import pytest

from psflow.config import Config, Person
from psflow.errors import GateFailed
from psflow.flows import billing, billing_posting
from psflow.store import duties
from tests.flows.conftest import Firm, PassGate, config, firm, kantata_sandbox, salesforce_sandbox, serve
from tests.proof import sod

__all__ = ["config", "firm", "kantata_sandbox", "salesforce_sandbox", "serve"]
FIONA, FRANK = "P-101", "P-102"


def with_people(firm: Firm, **changes: dict[str, Any]) -> Config:
    """The firm's policy, with something else said of a person."""
    people = [p.model_copy(update=changes.get(p.person.replace("-", "_"), {})) for p in firm.config.people]
    return firm.config.model_copy(update={"people": tuple(people)})


@pytest.fixture
def submitted(firm: Firm) -> tuple[Firm, str, str]:
    """A batch with an hour of the person 7, submitted by Fiona: firm, batch, content hash."""
    firm.start()
    firm.log(1, 90)
    firm.load_time()
    batch = firm.freeze()
    assert batch is not None
    shown = str(billing.check(firm.store, firm.config, PassGate(), batch)["content_hash"])
    firm.decide(batch, "submit", "fiona", shown)
    return firm, batch, shown


def nothing_is_posted(firm: Firm) -> bool:
    ledgers = firm.store.row(
        "select (select count(*) from billing.invoice) + (select count(*) from billing.charge) as n"
    )
    return ledgers == {"n": 0} and firm.erp.documents == {}


def test_every_forbidden_decision_is_refused_by_the_flow_and_by_the_database(admin_url: str, config: Config) -> None:
    found = sod.try_all(admin_url, config, each=3)
    assert found["pairs"] > 300 and found["allowed"] > 3
    assert (found["forbidden_allowed"], found["rightful_refused"]) == (0, 0)


def test_a_trigger_that_forgets_who_made_the_batch_is_noticed(
    admin_url: str, config: Config, capsys: pytest.CaptureFixture[str]
) -> None:
    with psycopg.connect(admin_url, autocommit=True) as owner:
        owner.execute(
            "create or replace view billing.batch_maker as select ''::text batch_id, ''::text person, ''::text why"
        )
    assert sod.try_all(admin_url, config, each=7)["forbidden_allowed"] > 0
    assert "allowed wrongly" in capsys.readouterr().err


def test_decisions_at_the_same_moment_are_exactly_one_each(admin_url: str, config: Config) -> None:
    assert sod.race(admin_url, config, 15) == {"races": 30, "clicks": 120, "not_exactly_one": 0}


def test_whose_own_hours_are_in_the_batch_does_not_approve_it(submitted: tuple[Firm, str, str]) -> None:
    firm, batch, shown = submitted
    firm.config = with_people(firm, P_102={"resource": "7"})
    with pytest.raises(
        GateFailed, match=f"person P-102 may not approve batch {batch}: own hours or expenses are in it"
    ):
        firm.decide(batch, "approve", "frank", shown)
    assert nothing_is_posted(firm)


def test_whose_own_expenses_are_in_the_batch_does_not_approve_it(firm: Firm) -> None:
    firm.start()
    firm.spend(1)
    firm.load_expenses()
    batch = str(firm.freeze())
    shown = str(billing.check(firm.store, firm.config, PassGate(), batch)["content_hash"])
    firm.config = with_people(firm, P_101={"resource": "7"})
    with pytest.raises(GateFailed, match="own hours or expenses are in it"):
        firm.decide(batch, "submit", "fiona", shown)


def test_somebody_elses_hours_keep_nobody_from_approving(submitted: tuple[Firm, str, str]) -> None:
    firm, batch, shown = submitted
    firm.config = with_people(firm, P_102={"resource": "8"})
    firm.decide(batch, "approve", "frank", shown)
    assert firm.post(batch) == {"posted": 1}


def test_who_edits_the_rates_does_not_approve_what_they_price(submitted: tuple[Firm, str, str]) -> None:
    firm, batch, shown = submitted
    firm.config = with_people(firm, P_102={"may": ("approve", "rates")})
    with pytest.raises(GateFailed, match="person P-102 may not approve .*: edits the rates it is priced at"):
        firm.decide(batch, "approve", "frank", shown)


def test_a_stake_that_is_taken_out_of_psflow_yaml_still_counts_for_the_batch(submitted: tuple[Firm, str, str]) -> None:
    firm, batch, shown = submitted
    plain = firm.config
    with firm.store.transaction("test"):
        duties.tell(firm.store, with_people(firm, P_102={"resource": "7"}))
    firm.config = plain
    with pytest.raises(GateFailed, match="own hours or expenses are in it"):
        firm.decide(batch, "approve", "frank", shown)
    assert duties.makers(firm.store, batch)[FRANK] == "own hours or expenses are in it"


def test_a_stake_that_is_known_after_the_approval_posts_nothing(submitted: tuple[Firm, str, str]) -> None:
    firm, batch, shown = submitted
    firm.decide(batch, "approve", "frank", shown)
    with firm.store.transaction("test"):
        duties.tell(firm.store, with_people(firm, P_101={"resource": "7"}))
    with pytest.raises(GateFailed, match=f"P-101 decided on batch {batch}: own hours or expenses are in it"):
        firm.post(batch)
    assert nothing_is_posted(firm)


def test_a_person_that_psflow_yaml_does_not_name_decides_nothing_in_sql_either(
    submitted: tuple[Firm, str, str],
) -> None:
    firm, batch, shown = submitted
    for person in ("P-999", FIONA, "p-102", "P-102 ", "P-201"):
        with pytest.raises(psycopg.errors.CheckViolation), firm.store.transaction("test"):
            firm.store.run(
                "insert into ops.approval (batch_id, step, decision, person, airflow_user, run_id, content_hash) "
                "values (%(batch)s, 'approve', 'approved', %(person)s, 'frank', 'r', %(hash)s)",
                batch=batch, person=person, hash=shown,
            )  # fmt: skip


def test_a_person_of_another_legal_entity_decides_nothing(submitted: tuple[Firm, str, str]) -> None:
    firm, batch, shown = submitted
    abroad = with_people(firm, P_102={"entities": ("MER-EU",)})
    with firm.store.transaction("test"):
        duties.tell(firm.store, abroad)
    with pytest.raises(psycopg.errors.CheckViolation, match="psflow.yaml does not say so"), firm.store.transaction("t"):
        firm.store.run(
            "insert into ops.approval (batch_id, step, decision, person, airflow_user, run_id, content_hash) "
            "values (%(batch)s, 'approve', 'approved', 'P-102', 'frank', 'r', %(hash)s)", batch=batch, hash=shown,
        )  # fmt: skip


def test_saying_the_same_again_adds_nothing_and_a_change_is_kept_beside_what_was_said(
    submitted: tuple[Firm, str, str],
) -> None:
    firm, _, _ = submitted
    with firm.store.transaction("test"):
        duties.tell(firm.store, firm.config)
        before = firm.store.value("select count(*) from ops.person")
        duties.tell(firm.store, firm.config)
        assert firm.store.value("select count(*) from ops.person") == before == len(firm.config.people)
        gone = firm.config.model_copy(update={"people": firm.config.people[:1]})
        duties.tell(firm.store, gone)
        said = "select may from ops.person_statement where person = %(p)s and until is null"
        assert firm.store.value(said, p=FRANK) == [] and firm.store.value(said, p=FIONA) == ["submit"]
    two = (Person(person="P-1", airflow_user="a", teams=(), may=("submit",)),
           Person(person="P-1", airflow_user="b", teams=(), may=("approve",), resource="7"))  # fmt: skip
    with firm.store.transaction("test"):
        duties.tell(firm.store, firm.config.model_copy(update={"people": two}))
        assert firm.store.value(said, p="P-1") == ["approve", "submit"], "two logins are one person"


# what Airflow says happened is not what happened


def test_an_approval_task_that_was_marked_a_success_by_hand_posts_nothing(submitted: tuple[Firm, str, str]) -> None:
    """Also with the batch's state pushed on: the invoice's own trigger asks for the row that is not there."""
    firm, batch, _ = submitted
    with pytest.raises(GateFailed, match="is submitted, not approved; nothing is posted"):
        firm.post(batch)
    with firm.store.transaction("test"):
        firm.store.run("update billing.batch set state = 'approved' where batch_id = %(b)s", b=batch)
    with pytest.raises(GateFailed, match="has no approval of its content"):
        firm.post(batch)
    assert nothing_is_posted(firm)


@pytest.mark.parametrize("step", ["draft", "post"])
def test_a_release_task_that_was_marked_a_success_by_hand_posts_nothing(
    submitted: tuple[Firm, str, str], step: str
) -> None:
    firm, batch, _ = submitted
    run = (firm.store, firm.config, firm.erp, batch)
    if step == "draft":
        assert billing_posting.draft(*run) == {"drafted": 0, "refused": 0}
    else:
        with pytest.raises(Exception, match=batch):
            billing_posting.post(*run)
    assert nothing_is_posted(firm) and billing.find(firm.store, batch)["state"] == "submitted"


def test_an_approval_whose_row_is_gone_posts_nothing(submitted: tuple[Firm, str, str], admin_url: str) -> None:
    firm, batch, shown = submitted
    firm.decide(batch, "approve", "frank", shown)
    with psycopg.connect(admin_url) as owner:
        owner.execute("delete from ops.approval where step = 'submit'")
    with pytest.raises(GateFailed, match="has no approval of its content"):
        firm.post(batch)
    assert nothing_is_posted(firm)


def test_a_run_whose_conf_names_another_month_posts_nothing_of_the_approved_one(
    submitted: tuple[Firm, str, str],
) -> None:
    """An edited conf freezes another batch, which waits for its own two people; the approved one is stale."""
    firm, batch, shown = submitted
    firm.decide(batch, "approve", "frank", shown)
    other = str(firm.freeze("2026-11"))
    assert other != batch and billing.find(firm.store, batch)["state"] == "stale"
    for each in (batch, other):
        with pytest.raises(GateFailed):
            firm.post(each)
    assert nothing_is_posted(firm)
