"""Have a rule looked at again: the stopped run goes on, or the DAG that owns the rule runs once more."""

from __future__ import annotations

from airflow.api_fastapi.auth.managers.models.base_user import BaseUser
from fastapi import HTTPException

from psflow.config import Config
from psflow.errors import NeedsReview
from psflow.store import workflow
from psflow.store.connection import Row, Store
from psflow_airflow.pages.access import may_start_runs


def start(store: Store, policy: Config, row: Row, user: BaseUser) -> str:
    """Start it and say what runs. Raises NeedsReview when nothing looks again by itself, 403 for a DAG of others."""
    if row["state"] != "open":
        raise NeedsReview(f"exception {row['exception_id']} is {row['state']}: to retry it, reopen it first")
    stopped = workflow.run_again(store, row["record_id"]) if row["entity"] in ("effect", "invoice") else None
    dag_id = stopped["dag_id"] if stopped else _dag(store, policy, row)
    if dag_id is None:
        raise NeedsReview(f"no DAG looks at rule {row['rule']} by itself: {row['fix']}")
    if not may_start_runs(user, dag_id):
        raise HTTPException(403, f"Airflow does not let you start {dag_id}")
    if stopped:
        return _go_on(dag_id, stopped["run_id"])
    return _trigger(dag_id, user, f"exception {row['exception_id']}")


def _dag(store: Store, policy: Config, row: Row) -> str | None:
    """Return the rule's DAG; a record that could not be read is read again by the sync of its system."""
    if (row["rule"], row["entity"]) == ("record", "deal"):
        system = store.value(_READ_FROM, deal=row["record_id"])
        return f"sync_{system}" if system else None
    if row["rule"] == "record":
        is_work = row["entity"] in ("time_entry", "expense_entry")
        return "time_expense" if is_work else f"sync_{row['message'].partition(':')[0]}"
    if (row["rule"], row["entity"]) == ("rate", "expense_entry"):
        return "sync_tryton"  # it lacks an exchange rate
    if row["rule"] == "match":
        return f"sync_{row['record_id'].partition(':')[0]}"
    return policy.routing[row["rule"]].dag


_READ_FROM = """
select system from raw.record where kind = 'opportunity' and record_id = %(deal)s order by received_at desc limit 1
"""


def _trigger(dag_id: str, user: BaseUser, note: str) -> str:
    from airflow.api.common.trigger_dag import trigger_dag
    from airflow.exceptions import DagNotFound
    from airflow.utils.types import DagRunTriggeredByType

    try:
        run = trigger_dag(
            dag_id,
            triggered_by=DagRunTriggeredByType.UI,
            triggering_user_name=user.get_name(),
            conf={},
            note=f"started for {note}",
        )
    except (DagNotFound, ValueError) as error:
        raise NeedsReview(f"{dag_id} does not run: {error}") from None
    return f"{dag_id} runs as {run.run_id}" if run else f"{dag_id} does not run"


def _go_on(dag_id: str, run_id: str) -> str:
    """Clear what failed in a run, so that it goes on from there."""
    from airflow.models.dagbag import DBDagBag
    from airflow.models.dagrun import DagRun
    from airflow.utils.session import create_session
    from sqlalchemy import select

    with create_session() as session:
        run = session.scalar(select(DagRun).where(DagRun.dag_id == dag_id, DagRun.run_id == run_id))
        dag = DBDagBag().get_dag_for_run(run, session=session) if run else None
        if dag is None:
            raise NeedsReview(f"Airflow no longer knows {dag_id} run {run_id}: start it anew")
        cleared = dag.clear(run_id=run_id, only_failed=True, session=session)
    if not cleared:
        raise NeedsReview(f"{dag_id} run {run_id} has no failed task to clear")
    return f"{dag_id} run {run_id} goes on where it failed"
