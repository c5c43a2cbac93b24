"""What a failed task does next, by the error it raised. Every DAG uses these."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from typing import TYPE_CHECKING, Any

from airflow.sdk import ExceptionRetryPolicy, RetryAction, RetryRule

from psflow.errors import (
    ConfigurationError,
    GateFailed,
    NeedsReview,
    Rejected,
    TransientError,
    UncertainOutcome,
    Withheld,
)

if TYPE_CHECKING:
    from airflow.sdk import Context, RetryDecision


class RecoveryPolicy(ExceptionRetryPolicy):
    """Rules per error; a vendor that says when to come back is taken at its word."""

    def evaluate(
        self, exception: BaseException, try_number: int, max_tries: int, context: Context | None = None
    ) -> RetryDecision:
        """Return the rule's decision, with the vendor's own delay if the error carries one."""
        decision = super().evaluate(exception, try_number, max_tries, context)
        wish = getattr(exception, "retry_after_s", None)
        return replace(decision, retry_delay=timedelta(seconds=wish)) if wish else decision


RECOVERY = RecoveryPolicy(
    rules=[
        RetryRule(exception=TransientError, action=RetryAction.RETRY, reason="nothing was written; try again"),
        RetryRule(exception=UncertainOutcome, action=RetryAction.RETRY, reason="look up by key, then try again"),
        RetryRule(exception=GateFailed, action=RetryAction.FAIL, reason="a gate said no; its owner acts"),
        RetryRule(exception=Rejected, action=RetryAction.FAIL, reason="the other system refused; see the exception"),
        RetryRule(exception=NeedsReview, action=RetryAction.FAIL, reason="a record needs a person"),
        RetryRule(exception=Withheld, action=RetryAction.FAIL, reason="policy lets it not out; see its modes"),
        RetryRule(exception=ConfigurationError, action=RetryAction.FAIL, reason="correct the setting that is named"),
    ]
)

RETRIES: dict[str, Any] = {  # default_args: 10 s, 20 s, 40 s, ... for what may pass by itself, a killed worker included
    "retries": 8,
    "retry_delay": timedelta(seconds=10),
    "retry_exponential_backoff": 2,
    "max_retry_delay": timedelta(minutes=10),
    "retry_policy": RECOVERY,
}

# For CronTriggerTimetable(run_immediately=...). The DAGs have no start date: with one in the past Airflow runs the hour
# before it at once. So a new deployment waits for its next hour; the minute is for Airflow, which works that hour out
# again at every parse and would pass over one that has just struck.
WAIT_FOR_THE_HOUR = timedelta(minutes=1)
