"""
Run one expectation suite on one frozen batch and return what every check said. Fails closed.

A suite names its table and key in `meta`; the table is a view that shows one batch, chosen by the session setting
`psflow.batch_id`. Each expectation says in its `meta` what its failure means: `hold_row`, `stop_batch` or `note`.
Great Expectations takes seconds to load, so it is imported when a gate runs and never before.
"""

from __future__ import annotations

import json
import re
from dataclasses import dataclass, field
from importlib.resources import files
from typing import Any, Literal, Protocol, get_args

from psflow.errors import ConfigurationError, GateFailed

OnFail = Literal["hold_row", "stop_batch", "note"]
Outcome = Literal["ok", "held", "noted", "failed"]
_MEANS: dict[OnFail, Outcome] = {"hold_row": "held", "stop_batch": "failed", "note": "noted"}
_EVERY_ROW = 1_000_000_000  # without a limit of ours SQL back ends cut the list of failing keys to 20


@dataclass(frozen=True, slots=True)
class FailingRow:
    """One value that broke one rule. `says` is the rule in words."""

    key: str
    field: str
    value: str | None
    rule: str
    says: str


@dataclass(frozen=True, slots=True)
class Check:
    """What one expectation said. `field` is empty when it is about the batch; `rows` are those that broke it."""

    rule: str
    expectation: str
    field: str
    says: str
    on_fail: OnFail
    outcome: Outcome
    rows: tuple[FailingRow, ...] = ()


@dataclass(frozen=True, slots=True)
class Verdict:
    """What a suite said about a batch: rows seen, checks evaluated, rows to hold, and why it stops, if it does."""

    rows: int
    checks: int
    failing: tuple[FailingRow, ...]
    results: tuple[Check, ...] = ()
    stopped: tuple[str, ...] = ()


class Gate(Protocol):
    """Anything that judges a frozen batch."""

    def run(self, suite: str, batch_id: str) -> Verdict:
        """Return the verdict on one batch. Raises GateFailed when there is none to trust."""
        ...


@dataclass(frozen=True, slots=True)
class ExpectationGate:
    """The suites of `expectations/`, run inside the business database at `url`."""

    url: str = field(repr=False)

    def run(self, suite: str, batch_id: str) -> Verdict:
        """Return the verdict. Raises GateFailed on an empty batch, a crashed check or an incomplete list of rows."""
        plan = load(suite)
        results = [_Result(r, plan["meta"]["key"]) for r in _validate(self.url, plan, batch_id)]
        for result in results:
            result.must_be_whole(suite)
        rows = next((r.observed for r in results if r.kind == "expect_table_row_count_to_be_between"), None)
        if not rows:
            raise GateFailed(f"{suite}: batch {batch_id} has no rows to judge")
        return _verdict(plan["meta"], int(rows), tuple(r.check() for r in results))


def _verdict(meta: dict[str, Any], rows: int, checks: tuple[Check, ...]) -> Verdict:
    held = tuple(row for check in checks if check.outcome == "held" for row in check.rows)
    stopped = [
        f"{check.rule} ({check.says}): {len(check.rows) or 'the batch as a whole'}"
        for check in checks
        if check.outcome == "failed"
    ]
    keys = len({row.key for row in held})
    if rows >= meta.get("held_share_from_rows", 1) and keys > rows * meta["max_held_share"]:
        stopped.append(f"{keys} of {rows} rows would be held; the limit is {meta['max_held_share']:.0%}")
    return Verdict(rows, len(checks), held, checks, tuple(stopped))


def load(suite: str) -> dict[str, Any]:
    """Return a suite by its name below `expectations/`. Raises ConfigurationError when it is not there or empty."""
    path = files("psflow_expectations").joinpath(f"{suite}.json")
    try:
        plan: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise ConfigurationError(f"{path}: no such suite") from None
    except ValueError as error:
        raise ConfigurationError(f"{path}: not JSON: {error}") from None
    if not plan.get("expectations") or {"table", "key", "max_held_share"} - set(plan.get("meta", {})):
        raise ConfigurationError(f"{path}: a suite needs expectations and, in meta, table, key and max_held_share")
    rules = [expectation.get("meta", {}).get("rule") for expectation in plan["expectations"]]
    for rule, expectation in zip(rules, plan["expectations"], strict=True):
        means = expectation.get("meta", {}).get("on_fail")
        if not rule or rules.count(rule) > 1 or means not in get_args(OnFail):
            raise ConfigurationError(
                f"{path}: {expectation.get('type')} has rule {rule!r} and on_fail {means!r}: a rule has a name of its "
                f"own and on_fail is one of {', '.join(get_args(OnFail))}"
            )
    return plan


def _validate(url: str, plan: dict[str, Any], batch_id: str) -> list[Any]:
    import great_expectations as gx
    from great_expectations.core.expectation_suite import ExpectationSuite, expectationSuiteSchema
    from great_expectations.data_context.types.base import ProgressBarsConfig

    schema, _, table = plan["meta"]["table"].partition(".")
    context = gx.get_context(mode="ephemeral")
    context.variables.progress_bars = ProgressBarsConfig(globally=False)
    suite = context.suites.add(ExpectationSuite(**expectationSuiteSchema.load(plan)))
    source = context.data_sources.add_postgres("business", connection_string=_one_batch(url, schema, batch_id))
    asset = source.add_table_asset(table, table_name=table)
    batch = asset.add_batch_definition_whole_table("batch").get_batch()
    wanted = {
        "result_format": "COMPLETE",
        "unexpected_index_column_names": [plan["meta"]["key"]],
        "partial_unexpected_count": _EVERY_ROW,
    }
    return list(batch.validate(suite, result_format=wanted).results)  # a run would keep a copy, which takes longer


def _one_batch(url: str, schema: str, batch_id: str) -> str:
    """Return the URL whose sessions see one batch only, in one schema."""
    from sqlalchemy.engine import make_url

    if not re.fullmatch(r"[A-Za-z0-9._-]+", batch_id):
        raise GateFailed(f"batch id {batch_id!r} has characters a batch id never has")
    parts = make_url(url).set(drivername="postgresql+psycopg")
    given = parts.query.get("options", "")
    options = f"{given} -c search_path={schema} -c psflow.batch_id={batch_id}".strip()
    return parts.update_query_dict({"options": options}).render_as_string(hide_password=False)


class _Result:
    """One expectation's result as the library gives it."""

    def __init__(self, result: Any, key: str) -> None:
        config = result.expectation_config
        self.kind = config.type
        self.rule: str = config.meta["rule"]
        self.on_fail: OnFail = config.meta["on_fail"]
        self.says = config.description or self.kind
        self.column = config.kwargs.get("column", "")
        self.success = bool(result.success)
        self.crashed = result.exception_info.get("raised_exception", True)
        self.observed = result.result.get("observed_value")
        # a condition that fits no row counts to null
        self.unexpected = result.result.get("unexpected_count", 0) if result.result.get("element_count", 1) else 0
        self.rows = result.result.get("unexpected_index_list") or []
        self.key = key

    def must_be_whole(self, suite: str) -> None:
        """Raise GateFailed unless the check ran and every failing row is known."""
        if self.crashed:
            raise GateFailed(f"{suite}: check {self.rule} ({self.says}) crashed; see the task log")
        if len(self.rows) != self.unexpected:
            raise GateFailed(f"{suite}: check {self.rule} found {self.unexpected} rows but named {len(self.rows)}")

    def check(self) -> Check:
        """Return what it said; a value is kept as text. What names no row cannot hold one: then the batch stops."""
        rows = tuple(
            FailingRow(str(row[self.key]), self.column, _text(row.get(self.column)), self.rule, self.says)
            for row in self.rows
        )
        outcome: Outcome = "ok"
        if rows or not self.success:
            outcome = _MEANS[self.on_fail] if rows or self.on_fail == "note" else "failed"
        return Check(self.rule, self.kind, self.column, self.says, self.on_fail, outcome, rows)


def _text(value: Any) -> str | None:
    return None if value is None else str(value)
