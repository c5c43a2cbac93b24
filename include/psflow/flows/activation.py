"""
A won deal becomes a project in ERP and PSA: gates first, then one effect after another, closed again when refused.

The state lives in `ops.workflow`; every step may run again at any time.
"""

from __future__ import annotations

from contextlib import suppress
from typing import Any

from psflow.config import Config
from psflow.contracts import Contract, Opportunity, OpportunityLine, Rate, RateCard
from psflow.errors import GateFailed, NeedsReview, Rejected
from psflow.flows import compensation, staffing
from psflow.flows.effects import done, drive
from psflow.flows.read_back import read_back
from psflow.rules.activation import GATES, Failure, Policy, judge
from psflow.store import crosswalk, effects, exceptions
from psflow.store.connection import Row, Store, sql
from psflow.store.effects import NewEffect
from psflow.systems.ports import Crm, Erp, Planner, Psa, System


def due(store: Store, config: Config) -> dict[str, list[dict[str, Any]]]:
    """Return the runs to start (won, never run), to start again (blocked and would pass now, or stranded), to close."""
    policy = _policy(store, config)
    rows = store.rows(sql("warehouse.activation", "waiting"))
    again = [r for r in rows if r["state"] == "stranded" or (r["state"] == "blocked" and _passes(store, r, policy))]
    runs = {"start": [r for r in rows if r["state"] == "won"], "restart": again, "lost": compensation.lost(store)}
    return {what: [_run(r) for r in found] for what, found in runs.items()}


def _passes(store: Store, row: Row, policy: Policy) -> bool:
    return isinstance(_verdict(store, row["engagement_id"], policy), Contract)


def _run(row: Row) -> dict[str, Any]:
    return {"engagement_id": row["engagement_id"], "epoch": row["epoch"]}


def check(store: Store, config: Config, engagement_id: str, epoch: int) -> str:
    """
    Judge all gates at once and return the project code of a deal that passes.

    Raises GateFailed naming every reason; each is an exception with its owner, and the deal is blocked.
    """
    _open_epoch(store, engagement_id, epoch)
    verdict = _verdict(store, engagement_id, _policy(store, config))
    if isinstance(verdict, list):
        with store.transaction("activation.blocked"):
            exceptions.open_all(store, config, [_finding(engagement_id, f) for f in verdict])
            _move(store, engagement_id, epoch, "blocked", ["won", "blocked", "activating"])
        raise GateFailed(f"{engagement_id} is blocked: " + "; ".join(_told(config, f) for f in verdict))
    with store.transaction("activation.passed"):
        for gate in GATES:
            exceptions.resolve(store, gate, "engagement", [engagement_id])
        subject = f"{engagement_id}.{epoch}"
        store.run(sql("warehouse.activation", "contract"), **verdict.model_dump(), subject=subject)
        store.run(sql("warehouse.activation", "project"), engagement_id=engagement_id, subject=subject)
        staffing.ask(store, engagement_id, subject)
        _move(store, engagement_id, epoch, "activating", ["won", "blocked"])
    return str(_project(store, engagement_id)["project_code"])


def _open_epoch(store: Store, engagement_id: str, epoch: int) -> None:
    """Begin the next epoch of an engagement whose last one was compensated. Raises NeedsReview on any other number."""
    with store.transaction("activation.epoch"):
        # whoever waits for the last epoch alone does not see the one that is begun meanwhile
        store.run("select from core.engagement where engagement_id = %(id)s for no key update", id=engagement_id)
        last = store.row(
            "select epoch, state from ops.workflow where engagement_id = %(id)s order by epoch desc limit 1 for update",
            id=engagement_id,
        )
        if last is None:
            raise NeedsReview(f"engagement {engagement_id!r} is unknown; see core.engagement")
        if last["state"] == "compensated" and epoch == last["epoch"] + 1:
            store.run(sql("warehouse.activation", "next_epoch"), engagement_id=engagement_id, epoch=epoch)
        elif epoch != last["epoch"] or last["state"] == "compensated":
            hint = (
                f"trigger epoch {last['epoch'] + 1}"
                if last["state"] == "compensated"
                else f"its epoch is {last['epoch']}"
            )
            raise NeedsReview(f"{engagement_id}.{epoch} is over and what it made is closed; {hint}")


def _told(config: Config, failure: Failure) -> str:
    route = config.routing[failure.gate]
    return f"{failure.message} -> {route.owner_team}: {route.fix}"


def _finding(engagement_id: str, failure: Failure) -> exceptions.Finding:
    return exceptions.Finding(
        failure.gate, "engagement", engagement_id, failure.field, failure.value, failure.message, engagement_id
    )


def _move(store: Store, engagement_id: str, epoch: int, to: str, allowed: list[str]) -> None:
    store.run(
        "update ops.workflow set state = %(to)s, changed_at = clock_timestamp() where engagement_id = %(id)s "
        "and epoch = %(epoch)s and state = any(%(allowed)s) and state <> %(to)s",
        to=to, id=engagement_id, epoch=epoch, allowed=allowed,
    )  # fmt: skip


def create_in_erp(store: Store, config: Config, erp: Erp, engagement_id: str, epoch: int) -> str:
    """Create customer and project shell in the ERP unless they are there; return the ERP's project id."""
    _must_be_running(store, engagement_id, epoch)
    project = _project(store, engagement_id)
    party = _ensure(store, config, erp, "create_customer", "customer", project["customer_id"], project["customer_id"],
                    _customer(project), engagement_id, epoch)  # fmt: skip
    shell = _shell(project, epoch) | {"customer_ref": party}
    return _ensure(store, config, erp, "create_project", "project", project["project_code"], f"{engagement_id}.{epoch}",
                   shell, engagement_id, epoch)  # fmt: skip


def create_in_psa(store: Store, config: Config, psa: Psa, erp: Erp, crm: Crm, engagement_id: str, epoch: int) -> str:
    """
    Create the delivery project in the PSA and return its id.

    Raises Rejected when the PSA refused for good; the deal in the CRM says so then, the ERP's shell is closed, and the
    deal is compensated.
    """
    _must_be_running(store, engagement_id, epoch)
    project = _project(store, engagement_id)
    if effects.states(store, [f"{erp.key}:close_project:{engagement_id}.{epoch}"]):  # died while it compensated
        _compensate(store, config, erp, engagement_id, epoch)
        raise Rejected(f"{engagement_id}.{epoch} was refused by {psa.key} and is compensated; trigger the next epoch")
    try:
        return _ensure(store, config, psa, "create_project", "project", project["project_code"],
                       f"{engagement_id}.{epoch}", _shell(project, epoch), engagement_id, epoch)  # fmt: skip
    except Rejected as error:
        refused = f"{psa.key}:create_project:{engagement_id}.{epoch}"
        with suppress(Rejected, NeedsReview):  # an exception says so; the shell is to be closed all the same
            compensation.tell(store, config, crm, refused, engagement_id, epoch, error)
        _compensate(store, config, erp, engagement_id, epoch)
        raise


def create_in_planner(store: Store, config: Config, planner: Planner, engagement_id: str, epoch: int) -> int:
    """Create the project in the planner and show its demand there; return how many requests it has. Raises Rejected."""
    _must_be_running(store, engagement_id, epoch)
    project = _project(store, engagement_id)
    _ensure(store, config, planner, "create_project", "project", project["project_code"], f"{engagement_id}.{epoch}",
            _shell(project, epoch), engagement_id, epoch)  # fmt: skip
    return staffing.request(store, config, planner, engagement_id, epoch)


def finish(store: Store, config: Config, crm: Crm, engagement_id: str, epoch: int) -> str:
    """
    Write engagement, project code and state back to the CRM, make the deal active, and return the opportunity's id.

    Raises Rejected.
    """
    _must_be_running(store, engagement_id, epoch)
    project = _project(store, engagement_id)
    payload = {k: project[k] for k in ("opportunity_id", "engagement_id", "project_code")}
    payload["status"] = "active"
    update = NewEffect(crm.key, "update_opportunity", f"{engagement_id}.{epoch}", payload, engagement_id)
    opportunity_id = _drive_one(store, config, crm, update, epoch)
    with store.transaction("activation.active"):
        store.run(sql("warehouse.activation", "resolve_effects"), engagement_id=engagement_id)
        _move(store, engagement_id, epoch, "active", ["activating"])
    return opportunity_id


def _must_be_running(store: Store, engagement_id: str, epoch: int) -> None:
    state = store.value(
        "select case when lost_at is null then state else 'lost' end from ops.workflow "
        "where engagement_id = %(id)s and epoch = %(epoch)s for share",
        id=engagement_id,
        epoch=epoch,
    )
    if state not in ("activating", "active"):
        raise NeedsReview(f"{engagement_id}.{epoch} is {state or 'unknown'}: nothing is created for it; see its gates")


def _ensure(
    store: Store, config: Config, system: System, capability: str, kind: str, ours: str, subject: str,
    payload: dict[str, Any], engagement_id: str, epoch: int,
) -> str:  # fmt: skip
    """Return the system's id of our record; created through an effect when the crosswalk does not know it yet."""
    if known := crosswalk.external(store, kind, ours, system):
        return known
    new = NewEffect(system.key, capability, subject, payload, engagement_id)
    external_id = _drive_one(store, config, system, new, epoch)
    with store.transaction(f"activation.{kind}"):
        crosswalk.link(store, kind, ours, system, external_id)
    return external_id


def _drive_one(store: Store, config: Config, system: System, new: NewEffect, epoch: int) -> str:
    """
    Register, drive, read back, and return the vendor's id. Raises Rejected.

    What was decided first stays, since it may have landed; unless it was refused.
    """
    known = effects.states(store, [new.key]).get(new.key)
    if known is None or known["state"] == "refused":
        with store.transaction("activation.register"):
            _must_be_running(
                store, str(new.engagement_id), epoch
            )  # nobody may find it lost before this is written down
            effects.register(store, [new])
    drive(store, config, system, [new.key])
    read_back(store, config, system, [new.key])
    return done(effects.states(store, [new.key]))[new.key]


def _compensate(store: Store, config: Config, erp: Erp, engagement_id: str, epoch: int) -> None:
    compensation.compensate(store, config, (erp,), engagement_id, epoch, store.value("select current_date"))


def _project(store: Store, engagement_id: str) -> Row:
    found = store.row(sql("warehouse.activation", "find_project"), engagement_id=engagement_id)
    if found is None:
        raise NeedsReview(f"{engagement_id} has no project yet; its gates have not passed")
    return found


def _customer(project: Row) -> dict[str, Any]:
    fields = ("customer_id", "street", "city", "country")
    return {"name": project["customer_name"]} | {field: project[field] for field in fields}


def _shell(project: Row, epoch: int) -> dict[str, Any]:
    fields = ("project_code", "name", "currency", "rate_card_id", "engagement_id")
    dates = {day: project[day].isoformat() if project[day] else None for day in ("starts_on", "ends_on")}
    return {field: project[field] for field in fields} | dates | {
        "title": f"{project['project_code']} {project['name']}", "epoch": epoch,
    }  # fmt: skip


def _verdict(store: Store, engagement_id: str, policy: Policy) -> Contract | list[Failure]:
    row = store.row(
        "select opportunity.* from core.engagement join core.opportunity using (opportunity_id) "
        "where engagement_id = %(id)s",
        id=engagement_id,
    )
    if row is None:
        raise NeedsReview(f"engagement {engagement_id!r} is unknown; see core.engagement")
    if not (row["is_won"] and row["is_closed"]):
        raise NeedsReview(f"{engagement_id}: its deal is not won in the CRM; nothing is created for it")
    lines = store.rows(
        "select line_id, product_code, quantity, unit_price, role, skills, hours_per_day, starts_on, ends_on "
        "from core.opportunity_line where opportunity_id = %(id)s order by line_id",
        id=row["opportunity_id"],
    )
    deal = Opportunity(**row, lines=tuple(OpportunityLine(**line) for line in lines))
    return judge(engagement_id, deal, policy)


def _policy(store: Store, config: Config) -> Policy:
    rates: dict[str, list[Rate]] = {}
    for row in store.rows("select * from core.rate order by rate_card_id, role, valid_from"):
        rates.setdefault(row.pop("rate_card_id"), []).append(Rate(**row))
    cards = store.rows("select * from core.rate_card order by rate_card_id")
    known = [
        RateCard(**card, rates=tuple(rates[card["rate_card_id"]])) for card in cards if card["rate_card_id"] in rates
    ]
    return Policy(
        config.entity_by_crm_value, config.tax_treatments, config.contract_types, config.delivery_regions, known
    )
