"""
One person's decision on a billing batch, as an Airflow required action.

Airflow asks and knows who answered; `ops.approval` is what posting trusts. Airflow keeps what a task once asked, also
when the task is cleared, so the content hash is part of the question and must come back with the answer.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

import structlog
from airflow.providers.standard.operators.hitl import ApprovalOperator, HITLOperator
from airflow.sdk import Param
from airflow.sdk.definitions.param import ParamsDict

from psflow.errors import ConfigurationError, GateFailed
from psflow_airflow.operators.base import opened

if TYPE_CHECKING:
    from airflow.sdk import Context

    from psflow.config import Config, Step
    from psflow.store.connection import Row, Store

_WAITS_FOR: dict[Step, str] = {"submit": "checked", "approve": "submitted"}
_PAST: dict[Step, set[str]] = {
    "submit": {"submitted", "approved", "released", "posted"},
    "approve": {"approved", "released", "posted"},
}


class BillingDecisionOperator(ApprovalOperator):
    """
    Ask the people who may, and store the answer. There is no default answer, and no time after which one is taken.

    Only the people whom psflow.yaml lets do this step are asked, by `airflow_user`, the auth manager's user id (with
    FAB a number). A step that was decided already is not asked again. A batch over the limit of psflow.yaml stays
    submitted after its first approval: a second task of this step asks the others.

    :param step: `submit` (a preparer) or `approve` (another person).
    :param batch_id: the batch. Templated.
    :param content_hash: what is decided on, the gate's XCom `content_hash`. Templated.
    :param store_conn_id: Airflow connection (type `postgres`) of the business database.
    """

    template_fields: Sequence[str] = ("batch_id", "content_hash")  # subject and body are data, never templates

    def __init__(
        self, *, step: Step, batch_id: str, content_hash: str, store_conn_id: str = "psflow_db", **kwargs: Any
    ) -> None:
        super().__init__(
            subject=f"{step} a billing batch", fail_on_reject=True, defaults=None, response_timeout=None, **kwargs
        )
        self.step = step
        self.batch_id = batch_id
        self.content_hash = content_hash
        self.store_conn_id = store_conn_id

    def pre_execute(self, context: Context) -> None:
        """Put the batch on every log line of this task, that of a failure included."""
        structlog.contextvars.bind_contextvars(batch_id=self.batch_id)

    def execute(self, context: Context) -> Any:
        """Ask, and wait without holding a worker. Raises ConfigurationError when nobody may answer."""
        with opened(self.store_conn_id) as (store, config):
            if self._decided(store):
                return {"step": self.step, "decision": "decided before"}
            self._ask(store, config)
        return super().execute(context)

    def execute_complete(self, context: Context, event: dict[str, Any]) -> Any:
        """Store the answer. Raises GateFailed, for good, on a reject and on an answer that is not to be taken."""
        answer = HITLOperator.execute_complete(self, context, event)
        person = answer["responded_by_user"]
        if person is None:
            raise GateFailed(f"batch {self.batch_id}: nobody is named as having decided to {self.step} it")
        shown = self._shown(answer["params_input"])
        from psflow.flows.billing import decide

        with opened(self.store_conn_id) as (store, config):
            decide(
                store, config, self.batch_id, self.step, airflow_user=person["id"], content_hash=shown,
                approved=answer["chosen_options"] == [self.APPROVE], run_id=context["dag_run"].run_id,
                reason=answer["params_input"].get("reason"),
            )  # fmt: skip
        return {"step": self.step, "decision": "approved", "airflow_user": person["id"]}

    def _shown(self, answered: dict[str, Any]) -> str:
        """Return the hash that came back with the answer. Raises GateFailed unless it is the one to decide on."""
        shown = answered.get("content_hash")
        if shown is None:
            raise GateFailed(f"batch {self.batch_id}: the answer lacks content_hash; clear this task to be asked again")
        if shown != self.content_hash:
            raise GateFailed(
                f"batch {self.batch_id} is {self.content_hash}, the answer is to {shown}, which this task once asked "
                "about; nothing is stored. Trigger a new run of billing"
            )
        return self.content_hash

    def _decided(self, store: Store) -> bool:
        """Whether this step is done already. Raises GateFailed when the batch does not wait for it as it is."""
        from psflow.flows.billing import find

        batch = find(store, self.batch_id)
        if batch["content_hash"] != self.content_hash:
            raise GateFailed(f"batch {self.batch_id} is not what its gate saw; trigger a new run of billing")
        if batch["state"] not in {_WAITS_FOR[self.step], *_PAST[self.step]}:
            raise GateFailed(f"batch {self.batch_id} is {batch['state']}; nobody can {self.step} it any more")
        return batch["state"] in _PAST[self.step]

    def _ask(self, store: Store, config: Config) -> None:
        from psflow.flows import billing_plan
        from psflow.flows.billing import find, summary
        from psflow.store import duties

        plan = billing_plan.of(store, self.batch_id)
        shown = find(store, self.batch_id) | summary(store, self.batch_id)
        shown |= {"plan_hash": plan.plan_hash, "approvers": plan.approvers}
        makers = duties.makers(store, self.batch_id) | billing_plan.deciders(store, self.batch_id)
        people = [p for p in config.people_who_may(self.step, shown["legal_entity_id"]) if p.person not in makers]
        if not people:
            raise ConfigurationError(
                f"batch {self.batch_id} holds: psflow.yaml lets nobody {self.step} one of {shown['legal_entity_id']} "
                f"who has no stake in it; see people{''.join(f'; {p}: {why}' for p, why in makers.items())}"
            )
        self.assigned_users = [{"id": p.airflow_user, "name": p.airflow_user} for p in people]
        self.subject = f"{self.step.capitalize()} billing batch {self.batch_id}: {shown['totals']}"
        self.body = body(shown)
        self.params = ParamsDict({"content_hash": _only(self.content_hash), "reason": _REASON})


def body(shown: Row) -> str:
    """Return what is decided on as Markdown, whatever characters are in it; a dash for what shows nothing."""
    from psflow.contracts.text import markdown

    plan = f"{_root()}/psflow/plan/{quote(shown['batch_id'], safe='')}"
    cells = {name: markdown(str(value)) or "\N{EN DASH}" for name, value in shown.items()}
    return _BODY.format(plan=plan, **cells)


def _root() -> str:
    """Return where Airflow's pages are; empty when nobody says, then a link is a path of the same host."""
    from airflow.sdk.configuration import conf

    return str(conf.get("api", "base_url", fallback="") or "").rstrip("/")


def _only(content_hash: str) -> Param:
    return Param(content_hash, "what you decide on", type="string", enum=[content_hash], title="Content hash")


_REASON = Param(
    "", "why you reject it; it stands on the plan", type="string", maxLength=2000, title="Reason", format="multiline"
)
_BODY = """
| | |
|---|---|
| Batch | {batch_id} |
| Legal entity | {legal_entity_id} |
| Period | {period} |
| Invoiced on | {invoiced_on} |
| Projects | {projects} |
| Charges | {charges} |
| Held entries, not in it | {held} |
| Total | **{totals}** |
| Approvers | {approvers} |
| Plan hash | {plan_hash} |
| Content hash | {content_hash} |

[The plan]({plan}): invoices, lines, what changed, what is held and why, caps, tax, and a workbook.

Approve is stored with these hashes; posting refuses anything else. Reject ends the batch, and your reason stands on its
plan and on the next one: correct the records, bill again.
"""
