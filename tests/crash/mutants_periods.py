"""The last line, of periods that close: nothing counts in a closed month, and a person signs what was shown."""

from __future__ import annotations

from tests.crash.attacks import Attack, bill_again, copies, invoice, says
from tests.crash.planting import dropped, granted, last, without

_MONTH = "where (legal_entity_id, period) = ('MER-US', '2026-10')"
_CLOSED = f"update core.period set closed_at = clock_timestamp() {_MONTH}"
_SEPTEMBER = (
    "insert into core.period (legal_entity_id, period, closed_at) values ('MER-US', '2026-09', clock_timestamp())"
)
_NO_SIGNATURE = "drop trigger guard on core.period;"  # so that a month can be closed at all
_ANY_INVOICE = "drop trigger guard on billing.invoice;"

PERIODS = {
    "unsigned_close": last("a month is closed by a signature", "drop trigger guard on core.period", says(_CLOSED)),
    "opened_by_nobody": last(
        "a month is opened by a person",
        without("core.guard_period", "old.closed_at is not null and not exists", "false and not exists"),
        says(_SEPTEMBER, "update core.period set closed_at = null where period = '2026-09'"),
    ),
    "closed_over_work": last(
        "a month is closed when its work is over",
        without("core.guard_period", "if found is not null", "if false"),
        says(f"update core.period set soft_closed_at = clock_timestamp() {_MONTH} and :batch is not null"),
    ),
    "billed_into_closed": last(
        "no invoice of a closed month",
        "drop trigger guard_period on billing.invoice",
        says(_CLOSED, invoice()),
        _NO_SIGNATURE + _ANY_INVOICE + "drop trigger guard_plan on billing.invoice;",
    ),
    "charged_into_closed": last(
        "no charge in a closed month",
        "drop trigger guard_accounting on billing.charge",
        bill_again("'X.1'", _SEPTEMBER, seq="77", accounting_on="'2026-09-15'::date"),
    ),
    "credit_in_closed": last(
        "no credit in a closed month",
        "drop trigger guard_period on billing.adjustment",
        says(
            _SEPTEMBER,
            "insert into billing.adjustment (kind, entry_key, amount, currency, decided_on, reason, asked_by, "
            "approved_by) select 'credit', entry_key, 1, 'USD', '2026-09-15', 'x', 'a', 'b' from billing.charge "
            "limit 1",
        ),
    ),
    "opening_in_closed": last(
        "no opening balance in a closed month",
        "drop trigger guard_period on billing.opening_balance",
        says(
            _SEPTEMBER,
            "insert into billing.opening_balance (project_code, as_of, hours, amount, currency) "
            "select project_code, '2026-09-15', 1, 1, 'USD' from billing.invoice limit 1",
        ),
    ),
    "void_in_closed": last(
        "no void of a closed month",
        "drop trigger guard_period on billing.void_invoice",
        says(_CLOSED, "insert into billing.void_invoice select invoice_key, '1' from billing.invoice limit 1"),
        _NO_SIGNATURE + "drop trigger guard on billing.void_invoice;",
    ),
    "one_month_twice": last("a month is one", dropped("core.period", "period_pkey"), copies("core.period")),
}

_CONTROLS = (
    "insert into ops.close (legal_entity_id, period, version, run_id, prepared_by, as_of, since) "
    "values ('MER-US', '2026-10', 1, 'r', 'P-101', clock_timestamp(), clock_timestamp())",
    "insert into ops.close_control (close_id, control, says, query, parameters, records, sums, breaks) "
    "select close_id, 'K1', 'x', 'x', '{}', 1, '{}', 1 from ops.close",
)


def _signed(by: str, shown: str = "ops.close_hash(close_id)", reason: str = "known") -> Attack:
    """Return an attack that signs controls, of which one is broken."""
    return says(
        *_CONTROLS,
        "insert into ops.close_signature (close_id, decision, person, airflow_user, run_id, content_hash, reason) "
        f"select close_id, 'signed', '{by}', 'x', 'r', {shown}, '{reason}' from ops.close",
    )


def _signature(text: str) -> str:
    return without("ops.guard_signature", text, f"if false and {text.removeprefix('if ')}")


SIGNATURES = {
    "signed_unseen": last(
        "signed is what was shown", _signature("if new.content_hash is distinct"), _signed("P-102", "'other'")
    ),
    "signed_by_preparer": last(
        "who prepared does not sign",
        _signature("if new.person is not distinct"),
        _signed("P-101"),
        "insert into ops.person (person, may, resources) values ('P-101', '{submit,close}', '{}');",
    ),
    "signed_by_stranger": last("only who may signs", _signature("if not exists"), _signed("P-201")),
    "signed_without_reason": last(
        "a break is signed with a reason", _signature("if new.decision = 'signed'"), _signed("P-102", reason="")
    ),
    "signed_twice": last(
        "a version is signed once",
        dropped("ops.close_signature", "close_signature_pkey"),
        says(*_CONTROLS, *2 * (
            "insert into ops.close_signature (close_id, decision, person, airflow_user, run_id, content_hash, reason) "
            "select close_id, 'signed', 'P-102', 'x', 'r', ops.close_hash(close_id), 'known' from ops.close",
        )),
    ),
    "controls_change": last(
        "controls stay as they were shown",
        granted("update", "ops.close_control"),
        says(*_CONTROLS, "update ops.close_control set breaks = 0"),
    ),
    "two_versions_of_controls": last(
        "a version of controls is one",
        dropped("ops.close", "close_legal_entity_id_period_version_key"),
        says(_CONTROLS[0], _CONTROLS[0]),
    ),
}  # fmt: skip

CLOSING = {**PERIODS, **SIGNATURES}
