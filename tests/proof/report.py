"""How a proof ends: one line for people, one JSON file for documents, one exit code for CI."""

from __future__ import annotations

import json
import os
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

REPOSITORY = Path(__file__).parents[2]


def close(command: str, figures: Mapping[str, Any], ok: bool) -> int:
    """
    Print `command: name value · …`, write the figures with UTC time to `<state>/proof/<command>.json`; return the
    exit code.
    """
    folder = state() / "proof"
    folder.mkdir(parents=True, exist_ok=True)
    kept = {"command": command, "at": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime()), "ok": ok, **figures}
    (folder / f"{command}.json").write_text(json.dumps(kept, indent=1, default=str) + "\n", encoding="utf-8")
    told = " · ".join(f"{name} {value}" for name, value in figures.items())
    print(f"{command}: {told} · {'ok' if ok else 'FAILED'}", flush=True)
    return 0 if ok else 1


def state() -> Path:
    """Return the folder of everything that is made at run time."""
    return Path(os.environ.get("PSFLOW_STATE_DIR") or REPOSITORY / ".runtime")
