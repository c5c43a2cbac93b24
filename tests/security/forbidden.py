"""What each role of the database must not do. Every statement is one that its role would have to be granted."""

from __future__ import annotations

import psycopg

from tests.database import as_role

_LEDGERS = {
    "raw.record": "payload", "core.time_entry": "minutes", "core.expense_entry": "amount",
    "billing.batch_line": "amount", "billing.batch_hold": "entry_key", "billing.invoice": "amount",
    "billing.invoice_line": "amount", "billing.charge": "amount", "billing.void_invoice": "erp_invoice_id",
    "billing.opening_balance": "amount", "finance.snapshot": "as_of", "finance.metric_snapshot": "value",
    "ops.approval": "decision", "ops.audit": "actor", "ops.gate_run": "verdict", "ops.gate_check": "outcome",
    "ops.gate_failure": "value", "ops.exception_event": "who", "ops.person": "may",
    "ops.dead_letter_edit": "dead_letter", "core.contract_term": "term_id", "core.acceptance": "milestone_id",
    "billing.adjustment": "kind", "billing.plan": "content_hash", "ops.approval_limit": "second_approver_above",
    "ops.number_owner": "rules", "ops.period_event": "legal_entity_id", "ops.source_read": "system",
    "ops.source_row": "kind", "ops.close": "legal_entity_id", "ops.close_control": "control",
    "ops.close_record": "control", "ops.close_signature": "decision", "billing.dispute": "invoice_key",
    "billing.dispute_end": "outcome",
}  # fmt: skip
_PEOPLE = (
    "core.resource", "core.cost_rate", "core.absence", "core.work_pattern", "core.time_entry", "core.expense_entry",
    "core.history", "raw.record", "ops.exceptions", "ops.exception_age", "ops.person", "ops.drift",
)  # fmt: skip
_MONEY = (
    "billing.charge", "billing.batch", "billing.batch_line", "billing.batch_content", "billing.invoice", "core.rate",
    "billing.invoice_line", "billing.batch_maker",
)  # fmt: skip
_FINANCE = (
    "finance.invoice", "finance.invoice_tie_out", "finance.open_exception", "finance.snapshot",
    "finance.metric_snapshot", "finance.metric", "finance.metric_published", "finance.project_margin_monthly",
    "finance.revenue_monthly", "finance.earned_entry", "finance.unbilled_entry",
)  # fmt: skip
_NOT_TO_WRITE_OVER = (
    ("core.history", "content"), ("core.history", "entity_id"), ("core.engagement", "customer_id"),
    ("ops.effect", "effect_key"), ("ops.effect", "capability"), ("ops.effect", "system"), ("ops.effect", "region"),
    ("ops.crosswalk", "external_id"), ("ops.exceptions", "rule"), ("ops.exceptions", "record_id"),
    ("ops.match_candidate", "score"), ("billing.batch", "legal_entity_id"), ("billing.batch", "invoiced_on"),
    ("billing.batch", "frozen_at"), ("ops.workflow", "epoch"), ("core.time_entry_head", "time_entry_id"),
)  # fmt: skip
_EVERYBODY = (
    "create table public.mine (n int)", "create schema mine", "create role mine", "drop table ops.approval",
    "alter table ops.approval disable trigger all", "truncate ops.audit", "set session_replication_role = replica",
    "select pg_read_file('/etc/passwd')", "copy ops.deployment to program 'cat'", "alter role psflow_app superuser",
    "create function ops.mine() returns int language sql return 1",
    "create or replace function billing.content_hash(batch text) returns text language sql return 'f00d'",
)  # fmt: skip

FORBIDDEN: dict[str, list[str]] = {
    "psflow_app": [
        *_EVERYBODY,
        *(f"delete from {table}" for table in (*_LEDGERS, "ops.effect", "ops.exceptions", "core.history")),
        *(f"update {table} set {column} = {column}" for table, column in (*_LEDGERS.items(), *_NOT_TO_WRITE_OVER)),
    ],
    "psflow_finance": [
        *_EVERYBODY,
        *(f"select * from {name}" for name in (*_PEOPLE, *_MONEY, "ops.workflow_state", "ops.effect", "ops.audit")),
        "delete from finance.metric_snapshot",
        "update finance.invoice_tie_out set left_value = 0",
        "insert into finance.snapshot (as_of) values ('2026-10-01')",
        "create table finance.mine (n int)",
    ],
    "psflow_pmo": [
        *_EVERYBODY,
        *(f"select * from {name}" for name in (*_PEOPLE, *_MONEY, *_FINANCE, "ops.effect", "ops.audit")),
        "select * from core.capacity('2026-10-01', '2026-10-02')",
        "update ops.workflow set state = 'active'",
        "insert into ops.exceptions default values",
    ],
}


def refused(owner_url: str, role: str, statement: str) -> bool:
    """Whether the database refuses a statement to a role because the role may not, and for no other reason."""
    with psycopg.connect(as_role(owner_url, role), autocommit=True) as connection:
        try:
            connection.execute(statement)  # type: ignore[call-overload]
        except psycopg.errors.InsufficientPrivilege:
            return True
        except psycopg.Error as error:
            raise AssertionError(f"{role}: {statement}: {error}") from None
        return False
