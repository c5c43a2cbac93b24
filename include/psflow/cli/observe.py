"""Look without touching: a month billed again beside what was billed, and what another psflow.yaml would change."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich.table import Table

from psflow.cli.base import AsJson, app, console, open_store, plain
from psflow.errors import ConfigurationError

if TYPE_CHECKING:
    from psflow.contracts import Period
    from psflow.flows.observe import Observation

Entity = Annotated[str, typer.Option(help="Legal entity of psflow.yaml, e.g. MER-US.")]
Month = Annotated[str, typer.Option(help="Month of the work, YYYY-MM.")]
Xlsx = Annotated[Path | None, typer.Option(help="Also write it as a workbook.")]
_CAUSES = ("cause", "lines", "billed", "should be", "difference", "currency")


@app.command()
def observe(entity: Entity, period: Month, xlsx: Xlsx = None, as_json: AsJson = False) -> None:
    """Bill a past month again and compare it with what was billed, by our ledger and by others. Writes nothing."""
    from psflow.flows.observe import observe

    when = _period(period)
    with open_store() as (store, policy):
        seen = observe(store, policy, entity, when)
    tell(seen, xlsx, as_json)


@app.command()
def diff(
    config: Annotated[Path, typer.Option(help="The other psflow.yaml.")], entity: Entity, period: Month,
    xlsx: Xlsx = None, as_json: AsJson = False,
) -> None:  # fmt: skip
    """Show which charges of a month would be others under another psflow.yaml, by cause. Writes nothing."""
    from psflow.config import load
    from psflow.flows.observe import diff

    when, other = _period(period), load(config)
    with open_store() as (store, policy):
        seen = diff(store, policy, other, entity, when)
    tell(seen, xlsx, as_json)


def _period(name: str) -> Period:
    from psflow.contracts import Period

    try:
        return Period(name=name)
    except ValueError:
        raise ConfigurationError(f"--period {name!r} is not YYYY-MM") from None


def tell(seen: Observation, xlsx: Path | None, as_json: bool) -> None:
    """Print an observation, and write it as a workbook when asked."""
    from psflow.flows.observe import cells, facts, write

    if xlsx:
        write(xlsx, seen)
    if as_json:
        print(json.dumps(facts(seen), indent=1, default=str))
        return
    for total in seen.totals(by_cause=False):
        of = f"{total.lines} lines, billed {total.billed}, should be {total.should}, difference {total.difference}"
        console().print(f"{seen.legal_entity_id} {seen.period}: {of} {total.currency}", soft_wrap=True)
    if not seen.differing:
        print("no line differs")
        return
    _print([(t.cause, t.lines, t.billed, t.should, t.difference, t.currency) for t in seen.totals(by_cause=True)])
    for row in seen.differing:
        cause, project, entry, day, _, _, difference, currency, *_, theirs, ours, _ = cells(row)
        said = f"{cause} {project} {entry or row['line_id']} {day}: {theirs} | psflow: {ours} | {difference} {currency}"
        console().print(plain(said), soft_wrap=True)


def _print(rows: list[tuple[Any, ...]]) -> None:
    table = Table(*_CAUSES, box=None, pad_edge=False)
    for row in rows:
        table.add_row(*(plain(str(cell)) for cell in row))
    console().print(table)
