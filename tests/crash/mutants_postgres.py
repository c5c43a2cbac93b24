"""The last line: constraints, triggers, unique indexes and grants of Postgres, each taken away once."""

from __future__ import annotations

from tests.crash.attacks import Attack, bill_again, copies, decision, invoice, person, says
from tests.crash.planting import Mutant


def _without(function: str, old: str, new: str) -> str:
    """Return the statement that replaces a text in a function of Postgres; it fails when the text is not there."""
    return (
        f"do $do$ declare body text := pg_get_functiondef('{function}'::regproc); begin "
        f"if position($t${old}$t$ in body) = 0 then raise exception '{function} lacks the text'; end if; "
        f"execute replace(body, $t${old}$t$, $t${new}$t$); end $do$"
    )


def _dropped(table: str, constraint: str) -> str:
    return f"alter table {table} drop constraint {constraint} cascade"


def _granted(what: str, table: str) -> str:
    return f"grant {what} on {table} to psflow_app"


def _last(guard: str, statement: str, attack: Attack, beside: str = "") -> Mutant:
    return Mutant(guard, statement=statement, beside=beside, attack=attack)


_PLAN = "drop trigger if exists guard_plan on billing.invoice; drop trigger if exists guard_plan on ops.approval;"


_ANYBODY = "(select array_agg(resource_id) from core.resource)"
_BOTH = (decision("submit", "P-101"), decision("approve", "P-102"))
POSTGRES = {
    "charge_once_per_version": _last(
        "one live charge a version", "drop index billing.charge_once_per_version", bill_again("'X.1'")
    ),
    "guard_reissue": _last(
        "billed anew only when voided", "drop trigger guard on billing.charge", bill_again("kept.charge_id || '~2'")
    ),
    "batch_one_open": _last(
        "one open batch an entity",
        "drop index billing.batch_one_open",
        says(
            *(
                "insert into billing.batch (batch_id, legal_entity_id, period, number, invoiced_on) "
                f"values ('X{n}', 'MER-US', '2026-11', {n}, '2026-11-30')"
                for n in (1, 2)
            )
        ),
    ),
    "one_invoice_a_project": _last(
        "one invoice a batch and project",
        _dropped("billing.invoice", "invoice_batch_id_project_code_key"),
        copies("billing.invoice", invoice_key="'X-1'"),
        _PLAN,
    ),
    "guard_invoice": _last(
        "no invoice without approval", "drop trigger guard on billing.invoice", says(invoice()), _PLAN
    ),
    "one_approval": _last(
        "two people approve", _without("billing.guard_invoice", "< 2", "< 1"), says(_BOTH[0], invoice()), _PLAN
    ),
    "no_verdict": _last(
        "the gate saw this content",
        _without(
            "billing.guard_invoice",
            "if not exists (select from ops.gate_run",
            "if false and not exists (select from ops.gate_run",
        ),
        says(*_BOTH, invoice(), seen=False),
        _PLAN,
    ),
    "closed_period": _last(
        "a closed period is closed",
        _without("billing.guard_invoice", "closed is not null", "false"),
        says(*_BOTH, "insert into core.period values ('MER-US', '2026-10', clock_timestamp())", invoice()),
        _PLAN,
    ),
    "other_day": _last(
        "an invoice has its batch's day",
        _without("billing.guard_invoice", "is distinct from (head.legal_entity_id, head.invoiced_on)", "is null"),
        says(*_BOTH, invoice("invoiced_on + 1")),
        _PLAN,
    ),
    "guard_approval": _last(
        "decisions are guarded",
        "drop trigger guard on ops.approval",
        says(decision("submit", "P-101"), decision("approve", "P-101")),
    ),
    "changed_content": _last(
        "a decision is on what was shown",
        _without("ops.guard_approval", "distinct from billing.content_hash", "not distinct from billing.content_hash"),
        says(decision("submit", "P-101", "'other'")),
    ),
    "not_submitted": _last(
        "approved is what was submitted",
        _without("ops.guard_approval", "new.step = 'approve' and not exists", "false and not exists"),
        says(_BOTH[1]),
    ),
    "one_person": _last(
        "maker and checker are two",
        _without("ops.guard_approval", "s.step <> new.step and s.person = new.person", "false"),
        says(person("P-9"), decision("submit", "P-9"), decision("approve", "P-9")),
    ),
    "stranger": _last(
        "only who may decides",
        _without("ops.guard_approval", "new.step = any (said.may)", "true"),
        says(decision("submit", "P-102")),
    ),
    "own_hours": _last(
        "nobody decides on their own hours",
        _without("ops.guard_approval", "if reason is not null", "if false"),
        says(person("P-9", resources=_ANYBODY), decision("submit", "P-9")),
    ),
    "own_hours_later": _last(
        "asked again when invoices are made",
        "drop trigger guard_makers on billing.invoice",
        says(*_BOTH, person("P-102", resources=_ANYBODY), invoice()),
        _PLAN,
    ),
    "decided_twice": _last(
        "one decision a step",
        _dropped("ops.approval", "approval_pkey"),
        says(person("P-9"), decision("submit", "P-101"), decision("submit", "P-9")),
    ),
    "guard_void": _last(
        "what is posted is not voided",
        "drop trigger guard on billing.void_invoice",
        says("insert into billing.void_invoice select invoice_key, '1' from billing.invoice"),
    ),
    "unsealed": _last(
        "an audit row is sealed",
        "drop trigger guard on ops.audit",
        says(
            "insert into ops.audit (audit_id, at, actor, action, subject) "
            "values (99999, clock_timestamp(), 'x', 'effect.done', 'x')"
        ),
    ),
    "audit_updates": _last(
        "the audit is append-only", _granted("update", "ops.audit"), says("update ops.audit set actor = 'x'")
    ),
    "audit_deletes": _last("the audit is append-only", _granted("delete", "ops.audit"), says("delete from ops.audit")),
    "charge_updates": _last(
        "charges are append-only",
        _granted("update", "billing.charge"),
        says("update billing.charge set amount = amount + 1"),
    ),
    "charge_deletes": _last(
        "charges are append-only", _granted("delete", "billing.charge"), says("delete from billing.charge")
    ),
    "frozen_lines": _last(
        "what is frozen stays",
        _granted("update", "billing.batch_line"),
        says("update billing.batch_line set amount = amount + 1"),
    ),
    "invoice_updates": _last(
        "invoices are append-only",
        _granted("update", "billing.invoice"),
        says("update billing.invoice set amount = amount + 1"),
    ),
    "approval_updates": _last(
        "decisions are append-only", _granted("update", "ops.approval"), says("update ops.approval set person = 'x'")
    ),
    "batch_moves": _last(
        "a batch keeps its period",
        _granted("update", "billing.batch"),
        says("update billing.batch set period = '2026-09'"),
    ),
    "effect_key": _last("one effect a key", _dropped("ops.effect", "effect_pkey"), copies("ops.effect")),
    "done_has_an_id": _last(
        "done is what has the vendor's id",
        _dropped("ops.effect", "effect_check"),
        says("update ops.effect set external_id = null"),
    ),
    "intent_has_a_lease": _last(
        "an intent has a lease",
        _dropped("ops.effect", "effect_check1"),
        says("update ops.effect set state = 'intent', external_id = null, lease_until = null"),
    ),
    "linked_twice": _last(
        "ours is one record there",
        _dropped("ops.crosswalk", "crosswalk_kind_entity_id_system_instance_key"),
        copies("ops.crosswalk", external_id="'X'"),
    ),
    "shared_record": _last(
        "theirs is one record of ours",
        _dropped("ops.crosswalk", "crosswalk_pkey"),
        copies("ops.crosswalk", entity_id="'X'"),
    ),
    "assigned_twice": _last(
        "one person a request",
        "drop index core.assignment_once_per_request",
        copies("core.assignment", "request_id is not null", assignment_id="'X'"),
    ),
    "two_engagements": _last(
        "one engagement a deal",
        _dropped("core.engagement", "engagement_opportunity_id_key"),
        copies("core.engagement", engagement_id="'E-X'"),
    ),
    "two_projects": _last(
        "one project an engagement",
        _dropped("core.project", "project_engagement_id_key"),
        copies("core.project", project_code="'P-X'"),
    ),
    "two_contracts": _last(
        "one contract an engagement",
        _dropped("core.contract", "contract_engagement_id_key"),
        copies("core.contract", contract_id="'C-X'"),
    ),
    "two_prices": _last(
        "one price a day",
        _dropped("core.rate", "rate_rate_card_id_role_daterange_excl"),
        copies("core.rate", valid_from="kept.valid_from + 1"),
    ),
    "two_versions": _last(
        "a version is written once", _dropped("core.time_entry", "time_entry_pkey"), copies("core.time_entry")
    ),
    "empty_verdict": _last(
        "a gate that saw nothing did not pass",
        _dropped("ops.gate_run", "gate_run_check"),
        says(
            "insert into ops.gate_run (suite, batch_id, verdict, content_hash, rows_checked, checks) "
            "values ('billing/batch', 'x', 'passed', 'x', 0, 0)"
        ),
    ),
    "two_regions": _last(
        "a database serves one region",
        _dropped("ops.deployment", "deployment_pkey"),
        copies("ops.deployment", region="'us-east'"),
    ),
    "truncated_cents": Mutant(
        "money is rounded half away from zero",
        statement=_without("billing.round_money", "round(amount", "trunc(amount"),
        hunts=("billing/unique",),
    ),
}
