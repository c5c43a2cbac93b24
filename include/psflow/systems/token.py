"""A token that dies without saying when: one sign-in at a time, one repeat of the call that met its end."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import TypeVar

from psflow.errors import TransientError, Unauthorized
from psflow.systems.transport import Transport

T = TypeVar("T")


@dataclass(slots=True)
class Token:
    """
    What a sign-in gave. It is kept in the memory of this process alone: never in the database, a log or an XCom.

    `sign_in` returns a new one and raises Unauthorized when the vendor refuses the login.
    """

    transport: Transport
    sign_in: Callable[[], str] = field(repr=False)
    _value: str | None = field(default=None, init=False, repr=False)

    def call(self, send: Callable[[str], T]) -> T:
        """
        Send with the token; when it proves dead, once more with a new one. `send` must raise 401 as Transport does.

        Raises Unauthorized when the vendor refuses the login, or even the new token.
        """
        try:
            return send(self._alive())
        except TransientError as error:  # of a write too: Transport raises it only where a 401 proves it not applied
            if error.code != "401":
                raise
        self._value = None
        try:
            return send(self._alive())
        except TransientError as error:
            if error.code != "401":
                raise
            self._value = None
            self.transport.account.note("refused", "401 after a fresh sign-in")
            raise Unauthorized(f"{error}; even after a fresh sign-in: check what the login may do") from None

    def _alive(self) -> str:
        if self._value is None:
            with self.transport.signing_in():
                self._value = self.sign_in()
        return self._value
