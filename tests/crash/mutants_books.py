"""The last line, further: plans and who approves them, disputes, whose number it is, duties and accounts."""

from __future__ import annotations

from psflow.store.connection import sql
from tests.crash.attacks import Attack, bill_again, copies, decision, invoice, person, reversed_twice, says
from tests.crash.planting import Mutant, dropped, granted, last, without

_ANY_INVOICE = "drop trigger guard on billing.invoice;"
_ANY_APPROVAL = "drop trigger guard on ops.approval;"
_TWO = """insert into ops.approval_limit (second_approver_above) values ('{"USD": 0}')"""
_ONE = """insert into ops.approval_limit (second_approver_above) values ('{"USD": 1000000}')"""
_SUBMITTED, _APPROVED = decision("submit", "P-101"), decision("approve", "P-102")
_TWO_TAXES = (
    "insert into billing.tax (legal_entity_id, treatment, category, rate_pct, reason_code, erp_tax, rounding) "
    "values ('X', 'x', 'O', 0, 'VATEX-EU-O', 'x', 'half_up'), ('X', 'x', 'S', 20, null, 'x', 'half_up')",
    "insert into billing.invoice (invoice_key, batch_id, project_code, legal_entity_id, currency, invoiced_on, amount, "
    "tax_amount) select 'X-1', batch_id, (select min(project_code) from core.project), legal_entity_id, 'USD', "
    "invoiced_on, 2, 0.2 from billing.batch where batch_id = :batch",
    "insert into billing.invoice_line (line_key, invoice_key, category, tax_id, amount) "
    "select 'X-1.' || category, 'X-1', 'x', tax_id, 1 from billing.tax where legal_entity_id = 'X'",
    "insert into billing.invoice_tax (invoice_key, category, rate_pct, reason_code, rounding, taxable, tax) "
    "select 'X-1', category, rate_pct, reason_code, rounding, 1, rate_pct / 100 from billing.tax "
    "where legal_entity_id = 'X'",
)


def _as_planned(*before: str) -> Attack:
    """Return an attack that makes the invoices of the batch that waits as a release does."""
    text = sql("warehouse.billing", "invoices").replace("%(batch)s", ":batch").replace("%%", "%")
    return says(*before, text)


PLAN = {
    "one_approver_of_two": last(
        "a large batch has two approvers",
        without("billing.guard_plan", "< billing.approvers_needed(batch)", "< 1"),
        _as_planned(_TWO, _SUBMITTED, _APPROVED),
    ),
    "approver_of_another_plan": last(
        "approved is the plan that is kept",
        without("billing.guard_plan", "and a.plan_hash =", "and a.plan_hash is distinct from"),
        _as_planned(_ONE, _SUBMITTED, decision("approve", "P-102", "'other'")),
        beside=_ANY_INVOICE + _ANY_APPROVAL + "drop trigger guard_plan on ops.approval;",
    ),
    "other_invoices": last(
        "invoices are those of the plan",
        "drop trigger guard_plan on billing.invoice",
        says(_ONE, _SUBMITTED, _APPROVED, invoice()),
    ),
    "other_plan": last(
        "a decision is on the plan of its content",
        without("ops.guard_plan", "if shown.batch_id is not null", "if false"),
        says(
            "insert into billing.plan (batch_id, content_hash, plan) values (:batch, 'other', '{}')",
            _SUBMITTED,
            seen=False,
        ),
    ),
    "rejected_goes_on": last(
        "what one rejected is not approved",
        without("ops.guard_plan", "if exists (select from ops.approval a where a.batch_id = new.batch_id", "if false"
                " and exists (select from ops.approval a where a.batch_id = new.batch_id"),
        says(_TWO, person("P-9"), _SUBMITTED, decision("approve", "P-102", said="rejected"),
             decision("approve", "P-9", seat=2)),
    ),
    "one_too_many": last(
        "a small batch has one approver",
        without("ops.guard_plan", "billing.approvers_needed(new.batch_id) < 2", "false"),
        says(_ONE, person("P-9"), _SUBMITTED, _APPROVED, decision("approve", "P-9", seat=2)),
    ),
    "both_approvers": last(
        "two approvers are two persons",
        without("ops.guard_plan", "and a.person <> new.person", ""),
        says(_TWO, _SUBMITTED, _APPROVED, decision("approve", "P-102", seat=2)),
    ),
    "third_seat": last(
        "there are two seats",
        dropped("ops.approval", "approval_check"),
        says(_TWO, person("P-9"), _SUBMITTED, _APPROVED, decision("approve", "P-9", seat=3)),
        beside="drop trigger guard_plan on ops.approval;",
    ),
    "plan_is_rewritten": last(
        "a plan stays as it was shown",
        granted("update", "billing.plan"),
        says("update billing.plan set plan = '{}' where batch_id = :batch"),
    ),
    "two_plans": last(
        "a batch has one plan", dropped("billing.plan", "plan_pkey"), copies("billing.plan")
    ),
    "nobody_counts": Mutant(
        "a batch waits for its second approver",
        "psflow.flows.billing",
        'if becomes == "approved" and billing_plan.lacks_approver(store, batch_id):',
        "if False:",
        hunts=("correction/unique", "billing/unique"),
    ),
    "one_is_enough": Mutant(
        "two approve above the limit",
        statement="create or replace function billing.approvers_needed(batch text) returns integer "
                  "language sql stable return 1",
        hunts=("correction/unique", "billing/unique"),
    ),
}  # fmt: skip

_DISPUTED = (
    "insert into billing.dispute (invoice_key, amount, currency, reason, owner, raised_by) "
    "select invoice_key, amount + {more}, currency, 'x', 'finance', 'x' from billing.invoice limit 1"
)
_ENDED = (
    "insert into billing.dispute_end (dispute_id, outcome, reason, decided_by) "
    "select dispute_id, 'rejected', 'x', 'x' from billing.dispute"
)
_ORDER = (
    "insert into billing.cap (cap_id, level, scope_id, limit_amount, currency) values ('X', 'order', 'X', 1, 'USD')",
    "insert into billing.purchase_order (order_id, contract_id, number, valid_from, is_required, cap_id) "
    "select 'X', contract_id, 'X', '2026-10-01', true, 'X' from core.contract limit 1",
)
_SPLIT = (
    "insert into core.split (contract_id, valid_from, agreed_on, reason) "
    "select contract_id, '2026-10-01', '2026-10-01', 'x' from core.contract limit 1"
)
_SHARE = "insert into core.split_share select split_id, customer_id, {pct}, true from core.split, core.customer limit 1"
LEDGERS = {
    "too_much_disputed": last(
        "no more is disputed than there is", "drop trigger guard on billing.dispute", says(_DISPUTED.format(more=1))
    ),
    "dispute_ends_twice": last(
        "a dispute ends once",
        dropped("billing.dispute_end", "dispute_end_pkey"),
        says(_DISPUTED.format(more=0), _ENDED, _ENDED),
    ),
    "credited_by_one": last(
        "two persons decide a credit",
        dropped("billing.adjustment", "adjustment_check"),
        says(
            "insert into billing.adjustment (kind, entry_key, amount, currency, decided_on, reason, asked_by, "
            "approved_by) select 'credit', entry_key, 1, 'USD', '2026-11-02', 'x', 'a', 'a' from billing.charge limit 1"
        ),
    ),
    "number_of_another": last(
        "no invoice where the number is another's",
        "drop trigger guard_number on billing.invoice",
        says(
            """insert into ops.number_owner (rules) select '[{"owner": "erp"}]' where :batch is not null""",
            invoice(),
        ),
        _ANY_INVOICE + "drop trigger guard_plan on billing.invoice;",
    ),
    "line_of_another": last(
        "no line where the number is another's",
        "drop trigger guard_number on billing.batch_line",
        bill_again("'X.1'", """insert into ops.number_owner (rules) values ('[{"owner": "erp"}]')""", seq="77"),
    ),
    "order_overdrawn": last(
        "a purchase order pays up to its amount",
        "drop trigger guard_order on billing.charge",
        bill_again("'X.1'", *_ORDER, seq="77", order_id="'X'"),
    ),
    "payers_short": last(
        "payers pay all of it",
        "drop trigger guard_split on core.split_share",
        says(_SPLIT, _SHARE.format(pct=60)),
    ),
    "payer_who_did_not_agree": last(
        "a charge is of who agreed to pay",
        "drop trigger guard_split on billing.charge",
        bill_again(
            "'X.1'",
            _SPLIT,
            _SHARE.format(pct=100),
            seq="77",
            payer_id="'nobody'",
            split_id="(select max(split_id) from core.split)",
        ),
    ),
    "tax_does_not_add_up": last(
        "the taxes of a document add up before it is sent",
        "drop trigger guard_tax on billing.batch",
        says(invoice(), "update billing.batch set state = 'released' where batch_id = :batch"),
        _ANY_INVOICE + "drop trigger guard_plan on billing.invoice;",
    ),
    "not_taxable_beside_tax": last(
        "category O stands alone on its document",
        without("billing.guard_tax", "having bool_or(category = 'O')", "having false and bool_or(category = 'O')"),
        says(*_TWO_TAXES, "update billing.batch set state = 'released' where batch_id = :batch"),
        _ANY_INVOICE + "drop trigger guard_plan on billing.invoice;",
    ),
    "tax_behind_its_invoice": last(
        "a document that is sent gets no other tax",
        "drop trigger guard_late on billing.invoice_tax",
        says(
            "insert into billing.invoice_tax (invoice_key, taxable, tax) select invoice_key, 0, 0 "
            "from billing.invoice limit 1"
        ),
    ),
    "two_taxes_alike": last(
        "a tax of psflow.yaml is kept once",
        dropped("billing.tax", "tax_legal_entity_id_treatment_category_rate_pct_reason_code_key"),
        copies("billing.tax"),
    ),
    "taxed_twice": last(
        "a document has one tax a category, rate and reason",
        dropped("billing.invoice_tax", "invoice_tax_invoice_key_category_rate_pct_reason_code_key"),
        copies("billing.invoice_tax"),
        "drop trigger guard_late on billing.invoice_tax;",
    ),
    "split_is_rewritten": last(
        "what was agreed on payers stays",
        granted("update", "core.split_share"),
        says(_SPLIT, _SHARE.format(pct=100), "update core.split_share set share_pct = 50"),
    ),
    "unsealed_numbers": last(
        "a seal is a MAC",
        dropped("ops.audit", "audit_mac_check"),
        says(
            "insert into ops.audit (audit_id, at, actor, action, subject, detail, mac) "
            "values (99999, clock_timestamp(), 'x', 'x', 'x', '{}', 'x')"
        ),
    ),
    "audit_twice": last("an audit row is one", dropped("ops.audit", "audit_pkey"), copies("ops.audit")),
    "people_are_rewritten": last(
        "what is said of people stays", granted("update", "ops.person"), says("update ops.person set may = '{approve}'")
    ),
    "limits_are_rewritten": last(
        "what is said of limits stays",
        granted("update", "ops.approval_limit"),
        says("update ops.approval_limit set second_approver_above = '{}'"),
    ),
    "effect_is_renamed": last(
        "an effect keeps its key",
        granted("update", "ops.effect"),
        says("update ops.effect set effect_key = effect_key || '.2' where capability = 'draft_invoice'"),
        "alter table ops.effect drop constraint effect_undoes_fkey;",
    ),
    "customer_is_changed": last(
        "a deal keeps its customer",
        granted("update", "core.engagement"),
        says("update core.engagement set opportunity_id = opportunity_id"),
    ),
    "record_is_relinked": last(
        "a record keeps its vendor's id",
        granted("update", "ops.crosswalk"),
        says("update ops.crosswalk set external_id = external_id || 'X'"),
    ),
    "two_accounts": last("an account is one", dropped("ops.account", "account_pkey"), copies("ops.account")),
    "nobody_probes": last(
        "somebody tries a half-open account",
        dropped("ops.account", "account_check"),
        says("update ops.account set breaker = 'half-open', prober = null"),
    ),
    "half_a_breaker": last(
        "a breaker is closed, open or half-open",
        dropped("ops.account", "account_breaker_check"),
        says("update ops.account set breaker = 'ajar'"),
    ),
    "replayed_twice": last(
        "a payload waits for one replay",
        "drop index ops.payload_replay_once",
        says(
            *2
            * (
                "insert into ops.payload_replay (system, instance, stream, record_id, payload_hash, payload, person) "
                "values ('s', 'i', 'x', '1', 'h', '{}', 'P-9')",
            )
        ),
    ),
}

_CAP = "insert into billing.cap (cap_id, level, scope_id, limit_amount, currency) values ('{}', 'line', 'L', 1, 'USD')"
_COST = (
    "insert into core.cost_rate (resource_id, valid_from, hourly_cost, currency) "
    "select min(resource_id), '2026-10-0{}', 1, 'USD' from core.resource"
)
_TOLD = (
    "insert into ops.exceptions (rule, entity, record_id, field, message, owner_team, fix, due_at) "
    "values ('x', 'x', 'x', 'x', 'x', 'x', 'x', clock_timestamp())"
)
_MEASURED = (
    "insert into finance.metric_snapshot (snapshot_id, metric, grain, unit) "
    "select max(snapshot_id), 'x', 'x', 'h' from finance.snapshot"
)
UNIQUE = {
    "reversed_twice": last(
        "a charge is reversed once",
        "drop index billing.charge_reversed_once",
        reversed_twice,
    ),
    "one_number_twice": last(
        "a batch's number is its own",
        dropped("billing.batch", "batch_legal_entity_id_period_number_key"),
        copies("billing.batch", batch_id="'X'"),
    ),
    "two_caps": last(
        "a scope has one cap", dropped("billing.cap", "cap_level_scope_id_key"), says(*map(_CAP.format, "AB"))
    ),
    "two_costs": last(
        "one cost a day",
        dropped("core.cost_rate", "cost_rate_resource_id_daterange_excl"),
        says(*map(_COST.format, "12")),
    ),
    "one_mail_for_two": last(
        "a mail is one person's",
        dropped("core.resource", "resource_work_email_key"),
        copies("core.resource", "work_email is not null", resource_id="'X'"),
    ),
    "two_presents": last(
        "there is one present",
        "drop index core.history_one_current",
        copies("core.history", "valid_to is null", valid_from="kept.valid_from + interval '1 second'"),
    ),
    "told_twice": last("an exception is one", "drop index ops.exception_once", says(_TOLD, _TOLD)),
    "measured_twice": last(
        "a snapshot has one of each measure",
        dropped("finance.metric_snapshot", "metric_snapshot_snapshot_id_metric_grain_unit_key"),
        says("insert into finance.snapshot (as_of) values ('2026-11-02')", _MEASURED, _MEASURED),
    ),
}

BOOKS = {**PLAN, **LEDGERS, **UNIQUE}
