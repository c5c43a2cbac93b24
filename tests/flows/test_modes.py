"""What may leave: observe sends nothing anywhere, propose waits for a person, post sends."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from psflow.config import ModeRule, Person
from psflow.errors import NeedsReview, Rejected, TransientError, Withheld
from psflow.flows import activation, modes
from psflow.flows.effects import drive
from psflow.store import effects
from psflow.store.effects import NewEffect
from tests.flows.conftest import Firm

FRANK = Person(person="P-102", airflow_user="frank", teams=(), may=("release",))


def with_modes(firm: Firm, *rules: dict[str, Any]) -> Firm:
    return replace(firm, config=firm.config.model_copy(update={"modes": tuple(ModeRule(**rule) for rule in rules)}))


def won(firm: Firm) -> str:
    firm.win()
    (run,) = firm.sync()["start"]
    return str(run["engagement_id"])


def writes(firm: Firm) -> int:
    return len(firm.erp.calls) + sum(s.state()["writes"] for s in (firm.salesforce, firm.kantata))


def test_a_firm_that_only_observes_is_written_to_nowhere(firm: Firm) -> None:
    observing = with_modes(firm, {"mode": "observe"})
    with pytest.raises(Withheld, match=r"not sent \(observe\): tryton:create_customer:C-77"):
        observing.activate(won(firm))
    assert writes(firm) == 0


def test_what_is_only_proposed_goes_out_when_a_person_released_it(firm: Firm) -> None:
    proposing = with_modes(firm, {"mode": "propose", "system": "tryton"})
    engagement = won(firm)
    with pytest.raises(Withheld, match="proposed: tryton:create_customer:C-77"):
        proposing.activate(engagement)
    assert modes.release(firm.store, ["tryton:create_customer:C-77"], FRANK) == 1
    with pytest.raises(Withheld, match="proposed: tryton:create_project"):
        proposing.activate(engagement)
    assert firm.erp.calls == ["create_customer"]
    audited = firm.store.row("select actor, subject from ops.audit where action = 'effect.released'")
    assert audited == {"actor": "P-102", "subject": "tryton:create_customer:C-77"}


def test_without_the_duty_nobody_lets_anything_out(firm: Firm) -> None:
    proposing = with_modes(firm, {"mode": "propose", "system": "tryton"})
    with pytest.raises(Withheld):
        proposing.activate(won(firm))
    without = firm.config.person_of("fiona")
    with pytest.raises(NeedsReview, match="fiona may not let effects out; see may under people in psflow.yaml"):
        modes.release(firm.store, ["tryton:create_customer:C-77"], without)
    assert firm.store.value("select count(*) from ops.effect where released_by is not null") == 0


def test_a_release_counts_once_and_only_for_what_waits(firm: Firm) -> None:
    firm.start()
    assert modes.release(firm.store, ["tryton:create_customer:C-77", "tryton:no_such:thing"], FRANK) == 0


def test_the_first_rule_that_fits_decides_by_system_entity_and_capability(firm: Firm) -> None:
    config = with_modes(
        firm,
        {"mode": "post", "system": "tryton", "capability": "create_customer"},
        {"mode": "propose", "legal_entity_id": "MER-US", "capability": "post_invoice"},
        {"mode": "observe", "system": "tryton"},
    ).config
    assert config.mode("tryton", "MER-US", "create_customer") == "post"
    assert config.mode("tryton", "MER-US", "post_invoice") == "propose"
    assert config.mode("tryton", "MER-EU", "post_invoice") == "observe"
    assert config.mode("kantata", None, "create_project") == "post"


def test_one_entity_may_post_while_another_observes(firm: Firm) -> None:
    observing = with_modes(firm, {"mode": "observe", "legal_entity_id": "MER-US", "capability": "draft_invoice"})
    engagement = won(firm)
    observing.activate(engagement)
    firm.log(1)
    firm.load_time()
    batch = observing.approve()
    with pytest.raises(Withheld, match="tryton:draft_invoice"):
        observing.post(batch)
    assert "draft_invoice" not in firm.erp.calls
    firm.post(batch)  # policy changed: what was written down goes out as it was decided
    assert firm.erp.calls.count("draft_invoice") == 1


def test_an_activation_that_was_observed_goes_on_when_policy_lets_it(firm: Firm) -> None:
    engagement = won(firm)
    with pytest.raises(Withheld):
        with_modes(firm, {"mode": "observe"}).activate(engagement)
    firm.activate(engagement)
    assert activation.due(firm.store, firm.config) == {"start": [], "restart": [], "lost": []}


def test_a_release_is_for_what_was_proposed_and_not_for_what_is_decided_instead(firm: Firm) -> None:
    refusals = iter([True])

    def refuse(when: str, capability: str) -> None:
        if (when, capability) == ("before", "create_project") and next(refusals, False):
            raise Rejected("the name is too long")

    firm.erp.fail = refuse
    proposing = with_modes(firm, {"mode": "propose", "capability": "create_project", "system": "tryton"})
    firm.win(Name="A name that is too long")
    (run,) = firm.sync()["start"]
    with pytest.raises(Withheld):
        proposing.activate(**run)
    key = "tryton:create_project:E-1001.1"
    modes.release(firm.store, [key], FRANK)
    with pytest.raises(Rejected):
        proposing.activate(**run)
    firm.win(Name="Short")
    firm.sync()
    with pytest.raises(Withheld, match=f"proposed: {key}"):
        proposing.activate(**run)
    assert not firm.erp.projects
    assert modes.release(firm.store, [key], FRANK) == 1
    proposing.activate(**run)
    assert [made["name"] for made in firm.erp.projects.values()] == ["Short"]


def test_what_is_withheld_stays_refused_and_takes_what_is_decided_until_it_leaves(firm: Firm) -> None:
    def refuse(when: str, capability: str) -> None:
        if (when, capability) == ("before", "create_project"):
            raise Rejected("the name is too long")

    firm.erp.fail = refuse
    firm.win(Name="A name that is too long")
    (run,) = firm.sync()["start"]
    with pytest.raises(Rejected):
        firm.activate(**run)
    with pytest.raises(Withheld):
        with_modes(firm, {"mode": "observe"}).activate(**run)
    firm.erp.fail = lambda *_: None
    firm.win(Name="Short")
    firm.sync()
    firm.activate(**run)
    assert [made["name"] for made in firm.erp.projects.values()] == ["Short"]


def test_what_may_have_landed_before_it_needed_a_release_can_be_released(firm: Firm) -> None:
    engagement = won(firm)
    firm.erp.fail = lambda when, capability: (_ for _ in ()).throw(OSError("reset")) if when == "after" else None
    with pytest.raises(TransientError):
        activation.check(firm.store, firm.config, engagement, 1)
        drive_once(firm, engagement)
    firm.erp.fail = lambda *_: None
    proposing = with_modes(firm, {"mode": "propose", "system": "tryton", "capability": "create_customer"})
    with pytest.raises(Withheld, match="proposed: tryton:create_customer:C-77"):
        proposing.activate(engagement)
    assert modes.release(firm.store, ["tryton:create_customer:C-77"], FRANK) == 1
    proposing.activate(engagement)
    assert firm.erp.calls.count("create_customer") == 1


def drive_once(firm: Firm, engagement: str) -> None:
    payload = {"customer_id": "C-77"}
    new = NewEffect("tryton", "create_customer", "C-77", payload, engagement)
    with firm.store.transaction("test"):
        effects.register(firm.store, [new])
    drive(firm.store, firm.config, firm.erp, [new.key], wait_s=0)
