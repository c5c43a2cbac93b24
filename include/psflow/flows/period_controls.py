"""
The ten controls of a month of a legal entity: each one query of `warehouse/period`, asked at a cut-off.

Its answer is records with a left and a right value; count, sums and hash of them are what somebody signs. The same
question gives the same answer later, or something has changed.
"""

from __future__ import annotations

import datetime as dt
import json
from dataclasses import dataclass
from typing import Any, LiteralString

from psflow.config import Config
from psflow.contracts import Period
from psflow.store.connection import Row, Store, sql

_SQL = "warehouse.period"
CONTROLS: dict[str, LiteralString] = {
    "K1": "k01_intake", "K2": "k02_waterfall", "K3": "k03_lines", "K4": "k04_documents", "K8": "k08_cut_off",
    "K9": "k09_lock", "K10": "k10_rates", "K11": "k11_segregation", "K12": "k12_master_data",
    "K13": "k13_intercompany",
}  # fmt: skip


@dataclass(frozen=True, slots=True)
class Control:
    """What one control answered; `sums` is unit -> sum, `broken` the records that do not hold, each with `says`."""

    control: str
    says: str
    records: int
    sums: dict[str, Any]
    content_hash: str | None
    broken: tuple[Row, ...]


def check(store: Store, config: Config, legal_entity_id: str, period: Period) -> list[Control]:
    """Return the controls of a period as they are now; nothing is kept."""
    with store.transaction("period.check"):
        asked = question(store, config, legal_entity_id, period)
        ask(store, asked)
        broken = store.rows("select * from close_answer where says is not null order by control, record_id")
        found = answers(store)
    return [
        Control(
            name, says(name), found[name]["records"], found[name]["sums"], found[name]["content_hash"],
            tuple(row for row in broken if row["control"] == name),
        )
        for name in CONTROLS
    ]  # fmt: skip


def keep(store: Store, close_id: int, asked: dict[str, Any]) -> None:
    """Keep what was answered under a version, with the questions."""
    for name, answer in answers(store).items():
        query = {"says": says(name), "query": sql(_SQL, CONTROLS[name]), "parameters": json.dumps(asked, default=str)}
        answer = answer | {"sums": json.dumps(answer["sums"], default=str)}
        store.run(sql(_SQL, "keep"), close=close_id, control=name, **query, **answer)
    store.run(sql(_SQL, "keep_records"), close=close_id)


def says(control: str) -> str:
    """Return what a control holds, in one sentence."""
    return sql(_SQL, CONTROLS[control]).partition("\n")[0].removeprefix("-- ")


def question(store: Store, config: Config, legal_entity_id: str, period: Period) -> dict[str, Any]:
    """Return the parameters of all controls; the cut-off is now."""
    entity = config.legal_entity(legal_entity_id)
    times = store.row(_TIMES, entity=legal_entity_id, period=period.name, end=period.end) or {}
    dates = {"start": period.start, "end": period.end, "starts_on": entity.billing_starts_on or dt.date.min}
    return {"entity": legal_entity_id, "period": period.name} | dates | times


def ask(store: Store, asked: dict[str, Any]) -> None:
    """Ask all controls; their answers are in `close_answer` until the transaction ends."""
    store.run(sql(_SQL, "staging"))
    for name, file in CONTROLS.items():
        kept: LiteralString = _INTO + sql(_SQL, file) + ") answer"
        store.run(kept, control=name, **asked)


def answers(store: Store) -> dict[str, Row]:
    """Return control -> records, sums, content_hash and breaks of what was asked last."""
    nothing = {"records": 0, "sums": {}, "content_hash": None, "breaks": 0}
    found = {row.pop("control"): row for row in store.rows(sql(_SQL, "answers"))}
    return {name: found.get(name, nothing) for name in CONTROLS}


def differs(store: Store, config: Config, head: Row) -> list[Row]:
    """Return the controls of a version that answer something else now, to the very same question."""
    now = question(store, config, head["legal_entity_id"], Period(name=head["period"]))
    ask(store, now | {"as_of": head["as_of"], "since": head["since"]})
    return store.rows(sql(_SQL, "differs"), close=head["close_id"])


def told(changed: list[Row]) -> str:
    """Return in words how controls differ from their signed version."""
    return "; ".join(
        "{control} was {was_records} records ({was}) and is {records} ({now})".format(
            **row, was=worded(row["was_sums"]), now=worded(row["sums"])
        )
        for row in changed
    )


def worded(sums: dict[str, Any]) -> str:
    """Return sums as people read them; two units are never added."""
    return ", ".join(f"{total} {unit}" for unit, total in sorted(sums.items())) or "nothing"


_INTO: LiteralString = """
insert into close_answer select %(control)s, record_id, unit, left_value, right_value, says, detail from (
"""
_TIMES = """
select clock_timestamp() as as_of, coalesce(
    (select max(as_of) from ops.close join ops.close_signature using (close_id)
     where (legal_entity_id, period, decision) = (%(entity)s, %(period)s, 'signed')),
    (%(end)s::date + 1)::timestamp at time zone 'UTC') as since
"""
