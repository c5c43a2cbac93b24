"""The bench tells what it measured and nothing nicer."""

from __future__ import annotations

import json
from pathlib import Path

from bench import firm, report
from bench.peers import dbt_project
from bench.server import Feed
from psflow.systems.kantata import mapping_delivery
from psflow.systems.kantata.wire import _answer
from psflow.systems.ports import TimeEntryRow
from psflow.systems.transport import Reply

MISSED = report.Row.of("landing", 9.9, "<=", 1.6)
NOT_RUN = report.Row.of("posting", None, ">=", 0.9)
MET = report.Row.of("gate", 1.2, "<=", 1.8, indicative=True)


def test_a_line_of_the_feed_has_what_a_load_lands(tmp_path: Path) -> None:
    firm.write_feed(tmp_path, "all", firm.Firm.of(1000, 7).entries()[:5])
    lines = (tmp_path / "all.copy").read_text().splitlines()
    assert {line.count("\t") + 1 for line in lines} == {len(TimeEntryRow._fields)}


def test_a_missed_number_is_printed_as_missed_and_one_that_was_not_run_is_no_success() -> None:
    assert not MISSED.met and not NOT_RUN.met and MET.met
    missed, not_run, met = report.lines([MISSED, NOT_RUN, MET])
    assert missed.startswith("MISSED ") and not_run.startswith("not run") and met.startswith("met~")


def test_the_page_is_written_from_the_results_alone(tmp_path: Path) -> None:
    about = {"size": 200_000, "seed": 7, "cores": 2, "load": 0.5}
    said = {"copy": {"seconds": 1.5, "peak_mb": 40.0}, "same charges": {"compared": 5, "different": 0}}
    report.keep(tmp_path, about, [MISSED, NOT_RUN], [said])
    rows = json.loads((tmp_path / "results.json").read_text())["rows"]
    assert rows[0] == {"name": "landing", "ratio": 9.9, "goal": "<= 1.6", "met": False, "indicative": False}
    report.document(tmp_path / "results.json", tmp_path / "performance.md")
    page = (tmp_path / "performance.md").read_text()
    assert "| landing | 9.9 | <= 1.6 | **missed** |" in page and "| posting |  | >= 0.9 | not measured |" in page
    assert "2 of 2 goals are missed" in page and "| copy | 1.50 | 40 |" in page


def test_a_seed_makes_one_firm_and_another_seed_another() -> None:
    assert firm.Firm.of(1000, 1).entries() == firm.Firm.of(1000, 1).entries() != firm.Firm.of(1000, 2).entries()


def test_five_of_a_hundred_entries_are_corrections_and_changes_change_every_entry_they_name() -> None:
    made = firm.Firm.of(1000, 1)
    entries = made.entries()
    assert len(entries) == 1000 and len(firm.newest(entries)) == 950
    known = {entry.entry_id: entry for entry in firm.newest(entries)}
    changed = made.changes(entries, 40, salt=2)
    assert len({entry.entry_id for entry in changed}) == 40
    assert all(
        e.minutes not in (0, known[e.entry_id].minutes) and e.updated_at > entries[-1].updated_at for e in changed
    )


def test_a_page_of_the_server_is_what_the_psas_client_reads(tmp_path: Path) -> None:
    entries = firm.Firm.of(1000, 1).entries()
    firm.write_feed(tmp_path, "all", entries)
    feed = Feed(tmp_path, "all")
    roles = {str(number): name for number, name in enumerate(firm.ROLES)}
    rows = []
    for offset in range(0, 1200, 200):
        page = mapping_delivery.time_page(
            _answer(Reply(200, {}, feed.page(offset, 200)), "time_entries").records, roles
        )
        assert page.bad == []
        rows += page.rows
    read = [(row.time_entry_id, row.minutes, row.notes, row.modified_at) for row in rows]
    assert read == [(str(e.entry_id), e.minutes, e.notes, e.updated_at) for e in entries]


def test_dbt_runs_the_very_statements_of_the_baseline(tmp_path: Path) -> None:
    text = (Path(report.__file__).parent / "baseline" / "billing.sql").read_text()
    dbt_project.write(tmp_path, text, "postgresql://who:secret@127.0.0.1:5432/bench")
    models = {path.stem for path in (tmp_path / "models").glob("*.sql")}
    assert models == {"entry", "w", "rk1", "rk2", "rk3", "billing_entry", "invoice_line"}
    lines = (tmp_path / "models" / "invoice_line.sql").read_text()
    assert "from {{ ref('billing_entry') }} group by 1,2,3,4" in lines and "out." not in lines


def test_billing_that_was_given_up_meets_nothing_and_compares_nothing() -> None:
    said = {
        "seconds": 2.0,
        "whole_s": 2.0,
        "peak_mb": 9.0,
        "unchanged_touched": 0,
        "different": 0,
        "keys": 3,
        "named": 3,
    }
    names = ("psflow lands", "psflow bills", "copy", "dlt lands", "dbt bills", "plain SQL bills", "psflow merges")
    names += ("copy a tenth", "gate", "plain SQL checks", "0.1 % changed", "1 % changed", "same charges", "rebuilt")
    whole = {name: said | {"digest": "d"} for name in names}
    given_up = whole | {"psflow bills": whole["psflow bills"] | {"gave_up": True}}
    posting = {"sandbox": 1.0, "tryton": None}

    def compared(rounds: dict[str, dict[str, object]]) -> list[float | None]:
        rows = report.rows([rounds], rounds, 0.2, posting, loose=False)
        return [row.ratio for row in rows if "differ" in row.name or "changed: /" in row.name]

    assert compared(whole) == [0, 1, 1, 0]
    assert compared(given_up) == [None] * 4
