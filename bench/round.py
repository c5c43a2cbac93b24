"""
One round: every contender once, one after the other, on databases of its own. What only prepares is not timed.

A round returns what each process said of itself, by name; `rows` of the report are medians over rounds.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import psycopg

from bench import billing, gate, masters
from bench.firm import Firm
from bench.ground import Ground
from bench.peers import dbt_project

_ROWS_A_SECOND = 3_000  # billing that is slower is given up
Measured = dict[str, dict[str, Any]]
_NOTHING_LOST = """
select count(*) = %(rows)s and count(distinct payload) = %(rows)s and count(*) filter (where notes = '') = %(empty)s
from dlt_land.time_entries
"""


@dataclass(frozen=True)
class Round:
    """What a round needs: the ground, the firm, the baseline's SQL and the peers' interpreters."""

    ground: Ground
    firm: Firm
    sql: Path
    dlt: Path
    dbt: Path

    def run(self, number: int) -> Measured:
        """Measure everything once."""
        ground, feed = self.ground, self.ground.folder / "all.copy"
        ours, peers = self._prepared("bench_psflow"), ground.database("bench_peers", migrated=False)
        said: Measured = {}
        with ground.psa() as psa:
            said["copy"] = ground.run("bench.landing", "copy", ground.database("bench_copy", migrated=False), feed)
            said["psflow lands"] = ground.run("bench.landing", "psflow", ours, f"{psa}/all")
            said["dlt lands"] = self._dlt(peers, f"{psa}/all", number)
        masters.contracts(ours, self.firm)
        masters.baseline(ours, self.firm, feed)
        said["plain SQL bills"] = ground.run("bench.billing", "baseline", ours, self.sql)
        said["psflow bills"] = self._bills(ours)
        said["same charges"] = dict(zip(("compared", "different"), billing.compare(ours), strict=True))
        said["dbt bills"] = self._dbt(peers, feed, number)
        said |= self._changes(ours, said["psflow bills"])
        return said | self._gate(ours)

    def smaller(self) -> Measured:
        """Measure landing and billing alone: how seconds a row grow."""
        url, said = self._prepared("bench_smaller"), Measured()
        with self.ground.psa() as psa:
            said["psflow lands"] = self.ground.run("bench.landing", "psflow", url, f"{psa}/all")
        masters.contracts(url, self.firm)
        said["psflow bills"] = self._bills(url)
        return said

    def _bills(self, url: str) -> dict[str, Any]:
        return self.ground.run("bench.billing", "psflow", url, limit_s=max(60, self.ground.rows // _ROWS_A_SECOND))

    def _prepared(self, name: str) -> str:
        url = self.ground.database(name)
        masters.link(url, self.firm)
        with psycopg.connect(
            url
        ) as db:  # gate, approvals and plan are asked for by triggers: they are proof, not billing
            db.execute("alter table billing.invoice disable trigger user")
        return url

    def _dlt(self, url: str, psa: str, number: int) -> dict[str, Any]:
        pipelines = self.ground.folder / f"dlt-{number}"
        # parquet through ADBC: faster than its CSV, which lands an empty text as null
        said = self.ground.run("bench.peers.dlt_land", url, psa, "parquet", pipelines, python=self.dlt)
        with psycopg.connect(url) as db:
            given = {"rows": self.ground.rows, "empty": self._empty_notes()}
            whole = db.execute(_NOTHING_LOST, given).fetchone()
        return said | {"nothing_lost": bool(whole and whole[0])}

    def _empty_notes(self) -> int:
        with (self.ground.folder / "all.copy").open("rb") as lines:
            return sum(line.split(b"\t", 9)[8] == b"" for line in lines)

    def _dbt(self, url: str, feed: Path, number: int) -> dict[str, Any]:
        masters.baseline(url, self.firm, feed)
        with psycopg.connect(url, autocommit=True) as db:
            db.execute("alter database bench_peers set jit = off")
        project = self.ground.folder / f"dbt-{number}"
        dbt_project.write(project, self.sql.read_text(), url)
        return self.ground.run("bench.peers.dbt_run", project, python=self.dbt)

    def _changes(self, url: str, full: dict[str, Any]) -> Measured:
        said, folder = Measured(), self.ground.folder
        for name, feed in (("0.1 % changed", "few"), ("1 % changed", "some")):
            self.ground.run("bench.merge", url, folder / f"{feed}.copy")
            masters.let_pass(url)
            said[name] = full if "gave_up" in full else self._bills(url)
            masters.more(url, folder / f"{feed}.copy")
        self.ground.run("bench.billing", "baseline", url, self.sql)
        said["rebuilt"] = {"different": billing.rebuilt(url)}
        plain = self.ground.database("bench_copy", migrated=False)
        said["copy a tenth"] = self.ground.run("bench.landing", "copy", plain, folder / "tenth.copy")
        said["psflow merges"] = self.ground.run("bench.merge", url, folder / "tenth.copy")
        return said

    def _gate(self, url: str) -> Measured:
        with psycopg.connect(url) as db:
            db.execute(gate.PLANT)
        with psycopg.connect(url, autocommit=True) as db:
            db.execute("vacuum analyze core.time_entry")
        first = "1"
        return {
            "plain SQL checks": self.ground.run("bench.gate", "sql", url, first),
            "gate": self.ground.run("bench.gate", "psflow", url, first),
        }
