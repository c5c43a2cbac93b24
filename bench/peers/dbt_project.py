"""A dbt project made from the baseline's own SQL, a model a table, reading what dlt landed."""

from __future__ import annotations

import json
import re
from pathlib import Path
from urllib.parse import unquote, urlsplit

_TABLE = re.compile(r"create unlogged table out\.(\w+) as (.*?);", re.DOTALL)
_ENTRY = """
{{ config(materialized='view') }}
select id::bigint as entry_id, user_id::integer as person_id, workspace_id::integer as project_id,
       role_id::integer as role_id,
       date_performed as work_date, round(time_in_minutes / 60.0, 2) as hours,
       case when approved then 'approved' else 'submitted' end as status, billable, updated_at
from dlt_land.time_entries
"""


def write(folder: Path, sql: str, url: str) -> None:
    """Write project, models and profile below `folder`."""
    models = folder / "models"
    models.mkdir(parents=True, exist_ok=True)
    (models / "entry.sql").write_text(_ENTRY)
    for name, select in _TABLE.findall(sql):
        (models / f"{name}.sql").write_text(_model(select))
    project = {
        "name": "bench",
        "version": "1.0",
        "profile": "bench",
        "config-version": 2,
        "flags": {"send_anonymous_usage_stats": False},
    }
    (folder / "dbt_project.yml").write_text(json.dumps(project))  # JSON is YAML
    (folder / "profiles.yml").write_text(json.dumps({"bench": {"target": "bench", "outputs": {"bench": _output(url)}}}))


def _model(select: str) -> str:
    read = re.sub(r"\bout\.(\w+)", r"{{ ref('\1') }}", select).replace("src.entry", "{{ ref('entry') }}")
    return "{{ config(materialized='table', unlogged=True, post_hook='analyze {{ this }}') }}\n" + read


def _output(url: str) -> dict[str, object]:
    parts = urlsplit(url)
    return {
        "type": "postgres", "host": parts.hostname, "port": parts.port, "user": parts.username,
        "password": unquote(parts.password or ""), "dbname": parts.path[1:], "schema": "dbt_out", "threads": 2,
    }  # fmt: skip
