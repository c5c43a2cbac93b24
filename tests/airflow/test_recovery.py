"""An error says what must happen next, and Airflow does that."""

from __future__ import annotations

from datetime import timedelta

import pytest
from airflow.sdk import RetryAction

from psflow import errors
from psflow_airflow.recovery import RECOVERY


@pytest.mark.parametrize(
    ("error", "action"),
    [
        (errors.TransientError("down"), RetryAction.RETRY),
        (errors.UncertainOutcome("lost"), RetryAction.RETRY),
        (errors.GateFailed("no"), RetryAction.FAIL),
        (errors.Rejected("no", "E1"), RetryAction.FAIL),
        (errors.NeedsReview("look"), RetryAction.FAIL),
        (errors.ConfigurationError("set it"), RetryAction.FAIL),
        (errors.Withheld("observe"), RetryAction.FAIL),
        (RuntimeError("a defect"), RetryAction.DEFAULT),
    ],
)
def test_each_error_leads_to_what_it_says(error: Exception, action: RetryAction) -> None:
    decision = RECOVERY.evaluate(error, 1, 5)
    assert decision.action is action and decision.retry_delay is None


def test_every_error_of_ours_is_decided() -> None:
    ours = {kind for kind in vars(errors).values() if isinstance(kind, type) and issubclass(kind, errors.PsflowError)}
    for kind in ours - {errors.PsflowError}:
        assert RECOVERY.evaluate(kind("x"), 1, 5).action is not RetryAction.DEFAULT


def test_a_vendor_that_says_when_to_come_back_is_taken_at_its_word() -> None:
    decision = RECOVERY.evaluate(errors.TransientError("throttled", retry_after_s=42), 1, 5)
    assert (decision.action, decision.retry_delay) == (RetryAction.RETRY, timedelta(seconds=42))
