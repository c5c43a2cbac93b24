"""The few REST calls of a running Airflow that the stack, the demo and the tests need, as one logged-in user."""

from __future__ import annotations

import time
from collections.abc import Iterable
from datetime import UTC, datetime, timedelta
from typing import Any
from urllib.parse import quote

import requests

from psflow.errors import Rejected, TransientError

FINAL = {"success", "failed"}
_LOGIN = "/auth/token"
# Airflow 3.3 fails a task ("finished with state success, but its state is queued") when its answer arrives before the
# scheduler has read the end of the asking half; no person is that quick, a script is
SETTLE_S = 3


class AirflowApi:
    """
    One user of one Airflow at `url` (`http://127.0.0.1:8080`).

    Raises Rejected with the HTTP status as its `code` when Airflow says no, TransientError when it does not answer.
    Reads, triggers and answers are sent again for `patience_s` seconds before.
    """

    def __init__(self, url: str, user: str, password: str, timeout_s: float = 30, patience_s: float = 0) -> None:
        self.url = url
        self.user = user
        self._password = password
        self._timeout_s = timeout_s
        self._patience_s = patience_s
        self._http = requests.Session()
        self._http.trust_env = False  # 127.0.0.1 needs no proxy, and ~/.netrc would replace the token

    def health(self) -> dict[str, dict[str, str | None]]:
        """Return component -> {status, latest_…_heartbeat}. Needs no login."""
        found: dict[str, dict[str, str | None]] = self._send("GET", "/api/v2/monitor/health")
        return found

    def dags(self) -> list[dict[str, Any]]:
        """Return every DAG that is not stale."""
        return self._pages("/dags", "dags")

    def import_errors(self) -> list[dict[str, Any]]:
        """Return `{filename, timestamp, stack_trace}` of every DAG file that does not import."""
        return self._pages("/importErrors", "import_errors")

    def connections(self) -> list[dict[str, Any]]:
        """Return every connection, without its password."""
        return self._pages("/connections", "connections")

    def put_connections(self, connections: Iterable[dict[str, Any]]) -> None:
        """Create or replace connections: `{connection_id, conn_type, host, …}`."""
        self._overwrite("/connections", list(connections))

    def put_pools(self, slots: dict[str, int]) -> None:
        """Create or replace pools: name -> slots."""
        self._overwrite("/pools", [{"name": name, "slots": n, "include_deferred": False} for name, n in slots.items()])

    def trigger(self, dag_id: str, conf: dict[str, Any] | None = None, run_id: str | None = None) -> str:
        """Trigger a run and return its id. A run id that exists is Rejected with code 409."""
        run_id = run_id or f"manual__{datetime.now(UTC).isoformat()}"  # ours, so that a lost answer makes no second run
        body = {"logical_date": None, "conf": conf or {}, "dag_run_id": run_id}
        self._once("POST", f"/dags/{quote(dag_id)}/dagRuns", json=body)
        return run_id

    def runs(self, dag_id: str) -> list[dict[str, Any]]:
        """Return the runs of a DAG."""
        return self._pages(f"/dags/{quote(dag_id)}/dagRuns", "dag_runs")

    def run(self, dag_id: str, run_id: str) -> dict[str, Any]:
        """Return one run: `state`, `conf`, `note`, dates."""
        found: dict[str, Any] = self._call("GET", _run(dag_id, run_id))
        return found

    def wait(self, dag_id: str, run_id: str, wait_s: float = 120) -> str:
        """Return the state in which a run ended. Raises TransientError when it has not after `wait_s` seconds."""
        until = time.monotonic() + wait_s
        while (state := str(self.run(dag_id, run_id)["state"])) not in FINAL:
            if time.monotonic() > until:
                raise TransientError(f"run {run_id} of {dag_id} is still {state} after {wait_s:g} s; see {self.url}")
            time.sleep(0.3)
        return state

    def task_instances(self, dag_id: str, run_id: str) -> list[dict[str, Any]]:
        """Return the task instances of a run: `task_id`, `map_index`, `state`, `try_number`, …"""
        return self._pages(f"{_run(dag_id, run_id)}/taskInstances", "task_instances")

    def log(self, dag_id: str, run_id: str, task_id: str, try_number: int = 1, map_index: int = -1) -> list[str]:
        """Return the lines that one try of a task wrote."""
        path = f"{_run(dag_id, run_id)}/taskInstances/{quote(task_id)}/logs/{try_number}"
        query = {"map_index": map_index, "full_content": True}
        content = self._call("GET", path, params=query, headers={"Accept": "application/json"})["content"]
        return [line["event"] if isinstance(line, dict) else str(line) for line in content]

    def xcom(self, dag_id: str, run_id: str, task_id: str, key: str = "return_value") -> Any:
        """Return what a task handed on."""
        path = f"{_run(dag_id, run_id)}/taskInstances/{quote(task_id)}/xcomEntries/{quote(key)}"
        return self._call("GET", path, params={"deserialize": True})["value"]

    def required_actions(self, dag_id: str = "~", run_id: str = "~") -> list[dict[str, Any]]:
        """
        Return the open required actions: `subject`, `options`, `assigned_users` and their `task_instance`.

        One that opened less than SETTLE_S ago is not among them yet.
        """
        found = self._pages(f"{_run(dag_id, run_id)}/hitlDetails", "hitl_details", response_received=False)
        settled = datetime.now(UTC) - timedelta(seconds=SETTLE_S)
        open_ = [a for a in found if a["task_instance"]["state"] == "awaiting_input"]
        return [a for a in open_ if not since(a["created_at"], settled)]

    def answer(
        self,
        dag_id: str,
        run_id: str,
        task_id: str,
        option: str,
        params: dict[str, Any] | None = None,
        map_index: int = -1,
    ) -> None:
        """Answer a required action. Rejected 403 when this user is not assigned, 409 when it was answered before."""
        path = f"{_run(dag_id, run_id)}/taskInstances/{quote(task_id)}/{map_index}/hitlDetails"
        self._once("PATCH", path, json={"chosen_options": [option], "params_input": params or {}})

    def clear(
        self, dag_id: str, run_id: str, task_ids: list[str] | None = None, *, only_failed: bool = False
    ) -> list[str]:
        """Run tasks of a run again (all of them without `task_ids`) and return their ids."""
        body = {"dry_run": False, "dag_run_id": run_id, "task_ids": task_ids, "only_failed": only_failed}
        body |= {"reset_dag_runs": True, "include_downstream": task_ids is not None}
        found = self._call("POST", f"/dags/{quote(dag_id)}/clearTaskInstances", json=body)
        return [t["task_id"] for t in found["task_instances"]]

    def _overwrite(self, path: str, entities: list[dict[str, Any]]) -> None:
        action = {"action": "create", "entities": entities, "action_on_existence": "overwrite"}
        if errors := self._call("PATCH", path, json={"actions": [action]})["create"]["errors"]:
            raise Rejected(f"Airflow {path}: {errors[0].get('error')}", str(errors[0].get("status_code", "")))

    def _once(self, verb: str, path: str, **options: Any) -> None:
        """Send what Airflow takes once, and again while it does not answer: a 409 then says that it had been taken."""
        until, again = time.monotonic() + self._patience_s, False
        while True:
            try:
                self._call(verb, path, **options)
                return
            except Rejected as error:
                if again and error.code == "409":
                    return
                raise
            except TransientError:
                if time.monotonic() >= until:
                    raise
            time.sleep(0.5)
            again = True

    def _pages(self, path: str, key: str, **query: Any) -> list[dict[str, Any]]:
        found: list[dict[str, Any]] = []
        while True:
            page = self._call("GET", path, params=query | {"limit": 100, "offset": len(found)})
            found += page[key]
            if not page[key] or len(found) >= page["total_entries"]:
                return found

    def _call(self, verb: str, path: str, **options: Any) -> Any:
        if "Authorization" not in self._http.headers:
            login = {"username": self.user, "password": self._password}
            self._http.headers["Authorization"] = f"Bearer {self._send('POST', _LOGIN, json=login)['access_token']}"
        return self._send(verb, f"/api/v2{path}", **options)

    def _send(self, verb: str, path: str, **options: Any) -> Any:
        until = time.monotonic() + (self._patience_s if verb == "GET" or path == _LOGIN else 0)
        while True:
            try:
                return self._sent(verb, path, **options)
            except TransientError:
                if time.monotonic() >= until:
                    raise
            time.sleep(0.5)

    def _sent(self, verb: str, path: str, **options: Any) -> Any:
        try:
            answer = self._http.request(verb, self.url + path, timeout=self._timeout_s, **options)
        except requests.RequestException as error:
            raise TransientError(f"Airflow at {self.url} does not answer: {type(error).__name__}") from None
        if answer.status_code >= 500:
            raise TransientError(f"Airflow at {self.url}: {verb} {path} answered {answer.status_code}")
        if not answer.ok:
            message = f"Airflow refused {verb} {path} as {self.user}: {answer.status_code} {answer.text[:500]}"
            raise Rejected(message, str(answer.status_code))
        return answer.json()


def since(text: str | None, moment: datetime) -> bool:
    """Whether Airflow's time stamp `text` is not before `moment` (both aware)."""
    return text is not None and datetime.fromisoformat(text) >= moment


def _run(dag_id: str, run_id: str) -> str:
    return f"/dags/{quote(dag_id)}/dagRuns/{quote(run_id, safe='~')}"
