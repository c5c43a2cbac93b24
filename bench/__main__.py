"""
`make bench ROWS=200000`: measure, print, and write results and page.

ROWS (1,000,000 unless said), ROUNDS (3), SEED (a fresh one), BILLING_SQL (the baseline to run as it is).
"""

from __future__ import annotations

import os
import secrets
from pathlib import Path

from bench import posting, report
from bench.firm import Firm, write_feed
from bench.ground import ROOT, Ground
from bench.peers import environments
from bench.round import Round
from psflow.sandbox.postgres import Postgres

_FULL, _A_FIFTH = 1_000_000, 5
_UV = ROOT / ".runtime" / "uv" / "bin" / "uv"


def main() -> None:
    """Run the bench; a missed goal is printed as missed and is no error."""
    rows, rounds = int(os.environ.get("ROWS") or _FULL), int(os.environ.get("ROUNDS") or 3)
    seed = int(os.environ.get("SEED") or secrets.randbelow(10**6))
    os.environ.setdefault("PSFLOW_AUDIT_KEY", secrets.token_hex(32))
    folder = ROOT / ".runtime" / "bench"
    (folder / "fifth").mkdir(parents=True, exist_ok=True)
    folder.chmod(0o755)  # as root the server runs as `nobody`, who must get here
    print(f"bench: {rows:,} entries, seed {seed}, {rounds} rounds", flush=True)
    peers = {peer: environments.python(peer, folder, _UV) for peer in environments.PACKAGES}
    sql = Path(os.environ.get("BILLING_SQL") or ROOT / "bench" / "baseline" / "billing.sql").resolve()
    server = Postgres(folder / "postgres")
    server.start()
    try:
        large = Round(Ground(folder, server, rows, seed), _fed(folder, rows, seed), sql, peers["dlt"], peers["dbt"])
        fifth = folder / "fifth"
        small = Round(
            Ground(fifth, server, rows // _A_FIFTH, seed),
            _fed(fifth, rows // _A_FIFTH, seed),
            sql,
            peers["dlt"],
            peers["dbt"],
        )
        measured = [_told(number, large) for number in range(1, rounds + 1)]
        smaller, rates = small.smaller(), posting.shares(large.ground)
    finally:
        server.remove()
    busy = os.getloadavg()[2] > 1.5 * (os.cpu_count() or 1)
    found = report.rows(measured, smaller, 1 / _A_FIFTH, rates, loose=busy or rows < _FULL)
    about = {"size": rows, "seed": seed, "cores": os.cpu_count(), "load": round(os.getloadavg()[2], 1)}
    report.keep(folder, about, found, measured)
    report.document(folder / "results.json", ROOT / "docs" / "performance.md")
    print("\n".join([*report.lines(found), f"results: {folder / 'results.json'}"]), flush=True)


def _fed(folder: Path, rows: int, seed: int) -> Firm:
    """Write the feeds of a firm: all it has, then 0.1, 1 and 10 in 100 changed, each on top of the one before."""
    firm = Firm.of(rows, seed)
    entries = firm.entries()
    write_feed(folder, "all", entries)
    for salt, (name, share) in enumerate((("few", 1000), ("some", 100), ("tenth", 10)), 2):
        changed = firm.changes(entries, rows // share, salt)
        write_feed(folder, name, changed)
        entries += changed
    return firm


def _told(number: int, large: Round) -> dict[str, dict[str, object]]:
    said = large.run(number)
    timed = [f"{name} {float(each['seconds']):.2f}" for name, each in said.items() if "seconds" in each]
    print(f"round {number}, in seconds: {', '.join(timed)}", flush=True)
    return said


if __name__ == "__main__":
    main()
