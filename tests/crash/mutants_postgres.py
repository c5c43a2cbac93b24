"""The last line: constraints, triggers, unique indexes and grants of Postgres, each taken away once."""

from __future__ import annotations

from tests.crash.attacks import bill_again, bill_otherwise, copies, decision, invoice, person, says
from tests.crash.planting import Mutant, dropped, granted, last, without

_PLAN = "drop trigger if exists guard_plan on billing.invoice; drop trigger if exists guard_plan on ops.approval;"


_ANYBODY = "(select array_agg(resource_id) from core.resource)"
_BOTH = (decision("submit", "P-101"), decision("approve", "P-102"))
POSTGRES = {
    "charge_once_per_version": last(
        "one live charge a version", "drop index billing.charge_once_per_version", bill_again("'X.1'")
    ),
    "guard_reissue": last(
        "billed anew only when voided", "drop trigger guard on billing.charge", bill_again("kept.charge_id || '~2'")
    ),
    "batch_one_open": last(
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
    "one_invoice_a_project": last(
        "one invoice a batch, project and payer",
        dropped("billing.invoice", "invoice_once"),
        copies("billing.invoice", invoice_key="'X-1'"),
        _PLAN,
    ),
    "guard_invoice": last(
        "no invoice without approval", "drop trigger guard on billing.invoice", says(invoice()), _PLAN
    ),
    "one_approval": last(
        "two people approve", without("billing.guard_invoice", "< 2", "< 1"), says(_BOTH[0], invoice()), _PLAN
    ),
    "no_verdict": last(
        "the gate saw this content",
        without(
            "billing.guard_invoice",
            "if not exists (select from ops.gate_run",
            "if false and not exists (select from ops.gate_run",
        ),
        says(*_BOTH, invoice(), seen=False),
        _PLAN,
    ),
    "closed_period": last(
        "a closed period is closed",
        without("billing.guard_invoice", "closed is not null", "false"),
        says(*_BOTH, "update core.period set closed_at = clock_timestamp() where period = '2026-10'", invoice()),
        _PLAN + "drop trigger guard_period on billing.invoice; drop trigger guard on core.period;",
    ),
    "other_day": last(
        "an invoice has its batch's day",
        without("billing.guard_invoice", "is distinct from (head.legal_entity_id, head.invoiced_on)", "is null"),
        says(*_BOTH, invoice("invoiced_on + 1")),
        _PLAN,
    ),
    "guard_approval": last(
        "decisions are guarded",
        "drop trigger guard on ops.approval",
        says(decision("submit", "P-101"), decision("approve", "P-101")),
    ),
    "changed_content": last(
        "a decision is on what was shown",
        without("ops.guard_approval", "distinct from billing.content_hash", "not distinct from billing.content_hash"),
        says(decision("submit", "P-101", "'other'")),
        _PLAN,
    ),
    "not_submitted": last(
        "approved is what was submitted",
        without("ops.guard_approval", "new.step = 'approve' and not exists", "false and not exists"),
        says(_BOTH[1]),
    ),
    "one_person": last(
        "maker and checker are two",
        without("ops.guard_approval", "s.step <> new.step and s.person = new.person", "false"),
        says(person("P-9"), decision("submit", "P-9"), decision("approve", "P-9")),
    ),
    "stranger": last(
        "only who may decides",
        without("ops.guard_approval", "new.step = any (said.may)", "true"),
        says(decision("submit", "P-102")),
    ),
    "own_hours": last(
        "nobody decides on their own hours",
        without("ops.guard_approval", "if reason is not null", "if false"),
        says(person("P-9", resources=_ANYBODY), decision("submit", "P-9")),
    ),
    "own_hours_later": last(
        "asked again when invoices are made",
        "drop trigger guard_makers on billing.invoice",
        says(*_BOTH, person("P-102", resources=_ANYBODY), invoice()),
        _PLAN,
    ),
    "decided_twice": last(
        "one decision a step",
        dropped("ops.approval", "approval_pkey"),
        says(person("P-9"), decision("submit", "P-101"), decision("submit", "P-9")),
    ),
    "guard_void": last(
        "what is posted is not voided",
        "drop trigger guard on billing.void_invoice",
        says("insert into billing.void_invoice select invoice_key, '1' from billing.invoice"),
    ),
    "unsealed": last(
        "an audit row is sealed",
        "drop trigger guard on ops.audit",
        says(
            "insert into ops.audit (audit_id, at, actor, action, subject, detail) "
            "values (99999, clock_timestamp(), 'x', 'effect.done', 'x', '{}')"
        ),
    ),
    "audit_updates": last(
        "the audit is append-only", granted("update", "ops.audit"), says("update ops.audit set actor = 'x'")
    ),
    "audit_deletes": last("the audit is append-only", granted("delete", "ops.audit"), says("delete from ops.audit")),
    "charge_updates": last(
        "charges are append-only",
        granted("update", "billing.charge"),
        says("update billing.charge set amount = amount + 1"),
    ),
    "charge_deletes": last(
        "charges are append-only", granted("delete", "billing.charge"), says("delete from billing.charge")
    ),
    "charged_unfrozen": last(
        "a charge is of a frozen line",
        "drop trigger guard_frozen on billing.charge",
        copies("billing.charge", "kind = 'charge'", charge_id="'X.1'", seq="9"),
    ),
    "charged_otherwise": last(
        "a charge is as it was frozen",
        without("billing.guard_frozen", "where (line.kind", "where false and (line.kind"),
        bill_otherwise("amount", "kept.amount + 1"),
    ),
    "cost_without_a_word": last(
        "an hour has a cost or says why not",
        dropped("billing.charge", "charge_cost_said"),
        bill_otherwise("cost_missing", "null"),
    ),
    "charged_off_invoice": last(
        "a charge is on an invoice line",
        without(
            "billing.guard_frozen",
            "where not exists (select from billing.invoice_line",
            "where false and exists (select from billing.invoice_line",
        ),
        bill_again("'X.1'", seq="9", line_key="'X'"),
    ),
    "charged_from_nothing": last(
        "a charge is of an hour that is there",
        without("billing.guard_frozen", "where time_entry_id is not null", "where false and time_entry_id is not null"),
        bill_again("'X.1'", version="99"),
    ),
    "reversed_nothing": last(
        "a reversal is of a charge",
        without("billing.guard_frozen", "where reverses is not null", "where false and reverses is not null"),
        bill_again("'X.1.R'", kind="'reversal'"),
    ),
    "frozen_nowhere": last(
        "a frozen line is of a batch",
        "drop trigger guard_known on billing.batch_line",
        copies("billing.batch_line", batch_id="'X'"),
    ),
    "frozen_for_nobody": last(
        "a frozen line is of a project",
        without(
            "billing.guard_known",
            "or not exists (select from core.project",
            "or false and not exists (select from core.project",
        ),
        copies("billing.batch_line", charge_id="'X'", project_code="'X'"),
    ),
    "frozen_under_nothing": last(
        "a frozen line is under a decision that is there",
        without("billing.guard_known", "where adjustment_id is not null", "where false and adjustment_id is not null"),
        copies("billing.batch_line", charge_id="'X'", adjustment_id="99"),
    ),
    "invoiced_nowhere": last(
        "an invoice line is on an invoice",
        "drop trigger guard_invoiced on billing.invoice_line",
        copies("billing.invoice_line", line_key="'X.1'", invoice_key="'X'"),
    ),
    "left_out_for_no_cap": last(
        "what is left out for a cap names one that is there",
        "drop trigger guard_over_cap on billing.left_out",
        says(
            "insert into billing.left_out (entry_key, reason, source, legal_entity_id, project_code, worked_on, "
            "currency, cap_id) select 'X', 'over_cap', source, 'MER-US', project_code, worked_on, currency, 'X' "
            "from billing.charge limit 1"
        ),
    ),
    "left_out_moves_to_no_cap": last(
        "what is left out stays under a cap that is there",
        "drop trigger guard_over_cap_moves on billing.left_out",
        says(
            "insert into billing.left_out (entry_key, reason, source, legal_entity_id, project_code, worked_on, "
            "currency) select 'X', 'written_off', source, 'MER-US', project_code, worked_on, currency "
            "from billing.charge limit 1",
            "update billing.left_out set reason = 'over_cap', cap_id = 'X' where entry_key = 'X'",
        ),
    ),
    "what_is_named_goes": last(
        "what a row names stays, whichever the two tables",
        without("core.guard_named", "if is_named then", "if false then"),
        says("delete from billing.invoice_line where line_key in (select line_key from billing.charge)"),
        granted("delete", "billing.invoice_line") + ";",
    ),
    "lined_invoice_goes": last(
        "an invoice with lines stays",
        "drop trigger guard_lined on billing.invoice",
        says("delete from billing.invoice"),
        granted("delete", "billing.invoice")
        + ";"
        + dropped("billing.invoice_tax", "invoice_tax_invoice_key_fkey")
        + ";",
    ),
    **{
        f"charged_{table.partition('.')[2]}_goes": last(
            "what is charged stays",
            f"drop trigger guard_charged on {table}",
            says(f"delete from {table} where ({key}) in (select {key} from billing.charge)"),
            granted("delete", table) + "; drop trigger guard_pointed on core.time_entry;",
        )
        for table, key in (
            ("core.time_entry", "time_entry_id, version"),
            ("billing.batch_line", "batch_id, charge_id"),
            ("billing.invoice_line", "line_key"),
        )
    },
    "charged_expense_entry_goes": last(
        "what is charged stays",
        "drop trigger guard_charged on core.expense_entry",
        says("delete from core.expense_entry where expense_entry_id in (select expense_entry_id from billing.charge)"),
        granted("delete", "core.expense_entry")
        + ";"
        + dropped("core.expense_entry_head", "expense_entry_head_expense_entry_id_latest_version_fkey")
        + ";",
    ),
    "newest_version_goes": last(
        "what an hour points to stays",
        "drop trigger guard_pointed on core.time_entry",
        says("delete from core.time_entry"),
        granted("delete", "core.time_entry") + "; drop trigger guard_charged on core.time_entry;",
    ),
    "version_of_no_load": last(
        "a version came with a load",
        "drop trigger guard_version on core.time_entry",
        copies("core.time_entry", version="99", load_id="99"),
    ),
    "hour_of_no_version": last(
        "an hour has the version it points to",
        "drop trigger guard_head on core.time_entry_head",
        copies("core.time_entry_head", time_entry_id="'X'"),
    ),
    "version_that_never_came": last(
        "an hour moves to a version that is there",
        "drop trigger guard_head_moves on core.time_entry_head",
        says("update core.time_entry_head set latest_version = 99"),
    ),
    "frozen_lines": last(
        "what is frozen stays",
        granted("update", "billing.batch_line"),
        says("update billing.batch_line set amount = amount + 1"),
    ),
    "invoice_updates": last(
        "invoices are append-only",
        granted("update", "billing.invoice"),
        says("update billing.invoice set amount = amount + 1"),
    ),
    "approval_updates": last(
        "decisions are append-only", granted("update", "ops.approval"), says("update ops.approval set person = 'x'")
    ),
    "batch_moves": last(
        "a batch keeps its period",
        granted("update", "billing.batch"),
        says("update billing.batch set period = '2026-09'"),
    ),
    "effect_key": last("one effect a key", dropped("ops.effect", "effect_pkey"), copies("ops.effect")),
    "done_has_an_id": last(
        "done is what has the vendor's id",
        dropped("ops.effect", "effect_check"),
        says("update ops.effect set external_id = null"),
    ),
    "intent_has_a_lease": last(
        "an intent has a lease",
        dropped("ops.effect", "effect_check1"),
        says("update ops.effect set state = 'intent', external_id = null, lease_until = null"),
    ),
    "linked_twice": last(
        "ours is one record there",
        dropped("ops.crosswalk", "crosswalk_kind_entity_id_system_instance_key"),
        copies("ops.crosswalk", external_id="'X'"),
    ),
    "shared_record": last(
        "theirs is one record of ours",
        dropped("ops.crosswalk", "crosswalk_pkey"),
        copies("ops.crosswalk", entity_id="'X'"),
    ),
    "assigned_twice": last(
        "one person a request",
        "drop index core.assignment_once_per_request",
        copies("core.assignment", "request_id is not null", assignment_id="'X'"),
    ),
    "two_engagements": last(
        "one engagement a deal",
        dropped("core.engagement", "engagement_opportunity_id_key"),
        copies("core.engagement", engagement_id="'E-X'"),
    ),
    "two_projects": last(
        "one project an engagement",
        dropped("core.project", "project_engagement_id_key"),
        copies("core.project", project_code="'P-X'"),
    ),
    "two_contracts": last(
        "one contract an engagement",
        dropped("core.contract", "contract_engagement_id_key"),
        copies("core.contract", contract_id="'C-X'"),
    ),
    "two_prices": last(
        "one price a day",
        dropped("core.rate", "rate_rate_card_id_role_daterange_excl"),
        copies("core.rate", valid_from="kept.valid_from + 1"),
    ),
    "two_versions": last(
        "a version is written once", dropped("core.time_entry", "time_entry_pkey"), copies("core.time_entry")
    ),
    "empty_verdict": last(
        "a gate that saw nothing did not pass",
        dropped("ops.gate_run", "gate_run_check"),
        says(
            "insert into ops.gate_run (suite, batch_id, verdict, content_hash, rows_checked, checks) "
            "values ('billing/batch', 'x', 'passed', 'x', 0, 0)"
        ),
    ),
    "two_regions": last(
        "a database serves one region",
        dropped("ops.deployment", "deployment_pkey"),
        copies("ops.deployment", region="'us-east'"),
    ),
    "truncated_cents": Mutant(
        "money is rounded half away from zero",
        statement=without("billing.round_money", "round(amount", "trunc(amount"),
        hunts=("billing/unique",),
    ),
}
