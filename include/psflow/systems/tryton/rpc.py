"""
Tryton's JSON-RPC over the one transport: how values are written, how a session is kept, what each error means.

`POST /<database>/rpc/` with exactly id, method and params: an error of the application then comes as 200 with
`"error"`. A number of a Float field is a JSON number, one of a Numeric field is `{"__class__": "Decimal"}`; neither
is ever a float here. Source: trytond 8.2, protocols/dispatcher.py and jsonrpc.py.
"""

from __future__ import annotations

import base64
import datetime as dt
import json
import random
from dataclasses import dataclass, field
from decimal import Decimal
from typing import Any
from urllib.parse import quote

import msgspec

from psflow.contracts import OpenEffect
from psflow.errors import ConfigurationError, Rejected, TransientError, Unauthorized, UncertainOutcome
from psflow.systems.account import Signs
from psflow.systems.token import Token
from psflow.systems.transport import Proof, Reply, Transport

_ENCODER = msgspec.json.Encoder(decimal_format="number")
# what the application refuses comes as 200; a row lock is asked for without waiting, always before the commit
_PROOF = Proof(refused=(), not_applied=((401, ""), (429, ""), (503, "could not obtain lock")))
_SIGNS = Signs(refused=())  # a 401 is a session that is over, or a login: that is told at sign-in


class Warned(Rejected):
    """Tryton wants a confirmation. `name` is `<digest>.<kind>`; `code` is the kind."""

    def __init__(self, message: str, name: str) -> None:
        super().__init__(message, name.rpartition(".")[2])
        self.name = name


@dataclass(slots=True)
class Rpc:
    """One login on one database. It signs in at the first call, and again when its session is over."""

    transport: Transport
    database: str
    login: str
    password: str = field(repr=False)
    context: dict[str, Any] = field(default_factory=dict, init=False, repr=False)
    company: int | None = field(default=None, init=False)  # every call is made in it, whatever the login prefers
    _session: Token = field(init=False, repr=False)

    def __post_init__(self) -> None:
        self.transport.signs = _SIGNS
        self._session = Token(self.transport, self._sign_in)

    def read(self, method: str, *params: Any, **context: Any) -> Any:
        """
        Call a method that changes nothing and return its result; `context` is added to the user's own.

        Raises Rejected (UserError and such), TransientError, or Unauthorized when the login is refused.
        """
        reply = self._session.call(lambda session: self._post(_headers(session), self._body(method, params, context)))
        return self._result(reply, method, TransientError)

    def write(self, effect: OpenEffect, method: str, *params: Any) -> Any:
        """
        Call a method that changes something and return its result.

        Raises Rejected; TransientError when nothing was applied (no connection, 401, 429, a lock somebody else
        holds, a record changed in between); UncertainOutcome otherwise.
        """
        effect.permit(self.transport.system)  # before signing in: an old ticket must not even do that
        try:
            reply = self._session.call(
                lambda session: self.transport.write(
                    effect, "POST", self._path, _PROOF, headers=_headers(session), data=self._body(method, params, {})
                )
            )
        except TransientError as error:
            if error.code == "503":  # two companies post at once; the other is through in a moment
                error.retry_after_s = error.retry_after_s or random.uniform(0.1, 0.4)
            raise
        return self._result(reply, f"{effect.key}: {method}", UncertainOutcome)

    @property
    def _path(self) -> str:
        return f"/{quote(self.database, safe='')}/rpc/"

    def _post(self, headers: dict[str, str], body: bytes) -> Reply:
        try:
            return self.transport.read("POST", self._path, headers=headers, data=body)
        except Rejected as error:  # the application's own no comes as 200: this one refuses nothing that we would write
            raise ConfigurationError(f"{error}; check address and database of the connection") from None

    def _body(self, method: str, params: tuple[Any, ...], context: dict[str, Any]) -> bytes:
        chosen = {} if self.company is None else {"company": self.company}
        return _ENCODER.encode({"id": 1, "method": method, "params": [*params, self.context | chosen | context]})

    def _sign_in(self) -> str:
        body = _ENCODER.encode(
            {"id": 1, "method": "common.db.login", "params": [self.login, {"password": self.password}]}
        )
        try:
            reply = self._post(_HEADERS, body)
        except TransientError as error:
            if error.code != "401":
                raise
            # no try again by itself: Tryton slows a login down with every wrong password and locks it after five
            raise Unauthorized(
                f"{self._where} refuses login {self.login!r} on database {self.database!r}: correct login and "
                "password of the connection"
            ) from None
        user, token, *_ = self._result(reply, "common.db.login", TransientError)
        session = base64.b64encode(f"{self.login}:{user}:{token}".encode()).decode()
        self.context = {}
        asked = "model.res.user.get_preferences"
        self.context = self._result(
            self._post(_headers(session), self._body(asked, (True,), {})), asked, TransientError
        )
        return session

    @property
    def _where(self) -> str:
        return f"{self.transport.system} at {self.transport.base_url}"

    def _result(self, reply: Reply, what: str, broken: type[TransientError | UncertainOutcome]) -> Any:
        """Return the answer's result or raise what its error means; `broken` is an answer nobody can read."""
        what = f"{self.transport.system}: {what}"
        try:
            answer = json.loads(reply.body, parse_float=Decimal, object_hook=_decoded)
            error = answer.get("error")
        except (ValueError, AttributeError):
            raise broken(f"{what}: the answer is not JSON-RPC") from None
        match error:
            case None:
                return answer.get("result")
            case ["UserError", [str(message), *rest]]:
                raise Rejected(f"{what}: {_sentence(message, rest)}", "UserError")
            case ["UserWarning", [str(name), str(message), *rest]]:
                raise Warned(f"{what}: {_sentence(message, rest)}", name)
            case ["ConcurrencyException", *_]:
                raise TransientError(f"{what}: somebody changed the record meanwhile")
            case ["LoginException", *_]:
                raise Unauthorized(f"{what}: login {self.login!r} needs more than a password, which no DAG has")
        raise broken(f"{what}: the server failed: {str(error)[:300]}")


_HEADERS = {
    "Content-Type": "application/json",
    "Accept-Encoding": "gzip",  # 8.2 compresses long answers, asked or not
}


def _headers(session: str) -> dict[str, str]:
    return _HEADERS | {"Authorization": f"Session {session}"}


def number(value: Decimal) -> dict[str, str]:
    """Return a value of a Numeric field."""
    return {"__class__": "Decimal", "decimal": format(value, "f")}


def day(value: dt.date) -> dict[str, Any]:
    """Return a value of a Date field."""
    return {"__class__": "date", "year": value.year, "month": value.month, "day": value.day}


def duration(minutes: int) -> dict[str, Any]:
    """Return a value of a TimeDelta field."""
    return {"__class__": "timedelta", "seconds": 60 * minutes}


def instant(value: dt.datetime) -> dict[str, Any]:
    """Return a value of a Timestamp field."""
    at, parts = value.astimezone(dt.UTC), ("year", "month", "day", "hour", "minute", "second", "microsecond")
    return {"__class__": "datetime"} | {part: getattr(at, part) for part in parts}


def _decoded(found: dict[str, Any]) -> Any:
    """Return the value an encoded object stands for. Tryton's instants are UTC without saying so."""
    match found.get("__class__"):
        case "Decimal":
            return Decimal(found["decimal"])
        case "date":
            return dt.date(found["year"], found["month"], found["day"])
        case "timedelta":
            return dt.timedelta(seconds=float(found["seconds"]))
        case "datetime":
            return dt.datetime(**{name: part for name, part in found.items() if name != "__class__"}, tzinfo=dt.UTC)
    return found


def _sentence(message: str, rest: list[Any]) -> str:
    said = [message, *(part for part in rest if isinstance(part, str))]
    return " ".join(part.strip() for part in said if part.strip())
