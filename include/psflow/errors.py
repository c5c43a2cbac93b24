"""
What can go wrong, named by what must happen next.

* PsflowError
  - ConfigurationError   fix a connection, a setting or psflow.yaml; nothing was attempted
    - Unauthorized       correct the credentials; what waits is sent afterwards
  - TransientError       try again later; nothing was written
  - UncertainOutcome     a write may have landed; it is looked up by its key before it is tried again
  - Rejected             the other system refused; compensation or an exception follows
  - NeedsReview          one record needs a person; the rest of the batch goes on
  - GateFailed           the batch or the deal may not pass
  - Withheld             policy lets nothing out here: observed, or proposed and not released yet
"""

from __future__ import annotations


class PsflowError(Exception):
    """Base of everything psflow raises on purpose."""


class ConfigurationError(PsflowError):
    """A setting is missing or wrong. The message names the place, the value and the fix."""


class Unauthorized(ConfigurationError):
    """The other system refuses our credentials. Nothing was sent, and what waits can go once they are corrected."""

    retry_after_s: float | None = None


class TransientError(PsflowError):
    """Nothing was written; try again later. `retry_after_s` is the vendor's wish, `code` its word, if it gave one."""

    def __init__(self, message: str, retry_after_s: float | None = None, code: str = "") -> None:
        super().__init__(message)
        self.retry_after_s = retry_after_s
        self.code = code


class UncertainOutcome(PsflowError):
    """A write may or may not have landed. Only a look-up by its key can tell."""


class Rejected(PsflowError):
    """The other system refused for good. `code` is the vendor's own word."""

    def __init__(self, message: str, code: str = "") -> None:
        super().__init__(message)
        self.code = code


class NeedsReview(PsflowError):
    """One record needs a person; an exception row says who and why."""


class GateFailed(PsflowError):
    """A gate did not pass (failed, empty, crashed, or its data changed since); nothing goes further."""


class Withheld(PsflowError):
    """An effect is written down and was not sent: its mode is observe, or propose and nobody released it yet."""
