"""Run a dbt project, after import and parsing. `python -m bench.peers.dbt_run FOLDER` in dbt's environment."""

from __future__ import annotations

import sys
import time

from dbt.cli.main import dbtRunner

from bench.measure import say


def main(folder: str) -> None:
    """Run every model once. Exits with 1 when one fails."""
    where = ["--project-dir", folder, "--profiles-dir", folder, "--quiet"]
    parsed = dbtRunner().invoke(["parse", *where])
    began = time.perf_counter()
    done = dbtRunner(manifest=parsed.result).invoke(["run", *where])
    seconds = time.perf_counter() - began
    if not done.success:
        print(done.exception or [(r.node.name, r.message) for r in done.result if r.message], file=sys.stderr)
        sys.exit(1)
    say(seconds=seconds)


if __name__ == "__main__":
    main(sys.argv[1])
