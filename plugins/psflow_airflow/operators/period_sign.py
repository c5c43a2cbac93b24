"""A person signs a month, or opens it again: Airflow required actions, whose answer Postgres judges once more."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from airflow.providers.standard.operators.hitl import ApprovalOperator, HITLOperator
from airflow.sdk import Param
from airflow.sdk.definitions.param import ParamsDict

from psflow.errors import ConfigurationError, GateFailed
from psflow_airflow.operators.base import opened
from psflow_airflow.operators.period import month

if TYPE_CHECKING:
    from airflow.sdk import Context

    from psflow.config import Config
    from psflow.store.connection import Row, Store


class _PeriodAction(ApprovalOperator):
    """Ask those with the duty close, without a default answer and without an end."""

    def __init__(self, *, store_conn_id: str = "psflow_db", **kwargs: Any) -> None:
        super().__init__(subject="close", fail_on_reject=True, defaults=None, response_timeout=None, **kwargs)
        self.store_conn_id = store_conn_id

    def execute_complete(self, context: Context, event: dict[str, Any]) -> Any:
        """Act on the answer. Raises GateFailed, for good, on a reject and on an answer that is not to be taken."""
        answer = HITLOperator.execute_complete(self, context, event)
        person = answer["responded_by_user"]
        if person is None:
            raise GateFailed(f"{self.subject}: nobody is named as having answered")
        said = {name: value or "" for name, value in answer["params_input"].items()}
        with opened(self.store_conn_id) as (store, config):
            self.act(store, config, context, person["id"], answer["chosen_options"] == [self.APPROVE], said)
        return {"airflow_user": person["id"]}

    @abstractmethod
    def act(
        self, store: Store, config: Config, context: Context, user: str, approved: bool, said: dict[str, str]
    ) -> None: ...

    def ask(self, config: Config, legal_entity_id: str, but: str | None) -> None:
        """Assign whoever may, but the one who may not. Raises ConfigurationError when there is nobody."""
        people = [p for p in config.people_who_may("close", legal_entity_id) if p.person != but]
        if not people:
            raise ConfigurationError(
                f"psflow.yaml lets nobody close periods of {legal_entity_id}"
                f"{f' but {but}, who started the close' if but else ''}; see people"
            )
        self.assigned_users = [{"id": p.airflow_user, "name": p.airflow_user} for p in people]


class PeriodSignOperator(_PeriodAction):
    """
    Ask a person who did not start the close to sign its controls; signed, the month is closed.

    :param close_id: the version, `close_id` of the controls' XCom. Templated.
    :param content_hash: what is signed, `content_hash` of the same. Templated.
    :param store_conn_id: Airflow connection (type `postgres`) of the business database.
    """

    template_fields: Sequence[str] = ("close_id", "content_hash")

    def __init__(self, *, close_id: Any, content_hash: str, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.close_id = close_id
        self.content_hash = content_hash

    def execute(self, context: Context) -> Any:
        """Ask, and wait without holding a worker. A version that is signed is not asked about again."""
        from psflow.flows.period import find

        with opened(self.store_conn_id) as (store, config):
            head = find(store, int(self.close_id))
            if head["decision"] == "signed":
                return {"decision": "signed before"}
            controls = store.rows(
                "select control, says, records, sums, breaks from finance.close_control where close_id = %(close)s "
                "order by length(control), control",
                close=head["close_id"],
            )
            self.ask(config, head["legal_entity_id"], head["prepared_by"])
        self.subject = f"Close {head['legal_entity_id']} {head['period']}, version {head['version']}"
        self.body = _body(controls, self.content_hash)
        self.params = ParamsDict({"content_hash": _only(self.content_hash), "reason": _reason(controls)})
        return super().execute(context)

    def act(
        self, store: Store, config: Config, context: Context, user: str, approved: bool, said: dict[str, str]
    ) -> None:
        """Store the decision. Raises GateFailed unless it is on these controls, and may be theirs."""
        from psflow.flows.period import sign

        if said.get("content_hash") != self.content_hash:
            raise GateFailed(f"the answer is not to these controls ({self.content_hash}); run close again")
        sign(
            store, config, int(self.close_id), airflow_user=user, approved=approved, content_hash=self.content_hash,
            reason=said.get("reason", "").strip(), run_id=context["dag_run"].run_id,
        )  # fmt: skip


class PeriodReopenOperator(_PeriodAction):
    """
    Ask a person for the reason to open a month again; its next close is a new version of its controls.

    :param legal_entity_id: an id of psflow.yaml. Templated.
    :param period: the month, YYYY-MM. Templated.
    :param store_conn_id: Airflow connection (type `postgres`) of the business database.
    """

    template_fields: Sequence[str] = ("legal_entity_id", "period")

    def __init__(self, *, legal_entity_id: str, period: str, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.legal_entity_id = legal_entity_id
        self.period = period

    def execute(self, context: Context) -> Any:
        """Ask, and wait without holding a worker."""
        of = month(self.period, context)
        with opened(self.store_conn_id) as (_, config):
            config.legal_entity(self.legal_entity_id)
            self.ask(config, self.legal_entity_id, None)
        self.subject = f"Re-open {self.legal_entity_id} {of.name}"
        self.body = "What is signed of it stays as a version; the next close makes a new one."
        self.params = ParamsDict({"reason": Param(type="string", minLength=3, title="Reason")})
        return super().execute(context)

    def act(
        self, store: Store, config: Config, context: Context, user: str, approved: bool, said: dict[str, str]
    ) -> None:
        """Open it. Raises GateFailed on a reject, without a reason, and when it is open."""
        from psflow.flows.period import reopen

        reason = said.get("reason", "").strip()
        if not approved or len(reason) < 3:
            raise GateFailed(f"{self.subject}: {'no reason is given' if approved else 'rejected'}; it stays closed")
        of = month(self.period, context)
        reopen(store, config, self.legal_entity_id, of, user, reason, context["dag_run"].run_id)


def _only(content_hash: str) -> Param:
    return Param(content_hash, "what you sign", type="string", enum=[content_hash], title="Content hash")


def _reason(controls: list[Row]) -> Param:
    broken = any(row["breaks"] for row in controls)
    kind: Any = {"type": "string", "minLength": 3} if broken else {"type": ["null", "string"], "default": None}
    return Param(title="Reason", description="why a break is accepted" if broken else "may stay empty", **kind)


def _body(controls: list[Row], content_hash: str) -> str:
    """Return the controls as a Markdown table, whatever characters are in it."""
    from psflow.contracts.text import markdown
    from psflow.flows.period_controls import worded

    lines = ["| control | | records | sum | result |", "|---|---|---|---|---|"]
    for row in controls:
        result = f"**{row['breaks']} breaks**" if row["breaks"] else "tied"
        told = (markdown(row["says"]), str(row["records"]), markdown(worded(row["sums"])), result)
        lines.append(f"| {row['control']} | {' | '.join(told)} |")
    return "\n".join([*lines, "", f"Content hash {content_hash}. The records are on psflow > Close."])
