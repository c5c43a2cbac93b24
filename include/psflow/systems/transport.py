"""
The one way to a vendor. Nothing else in psflow may use an HTTP library (a test looks).

HTTP outcomes become errors by what must happen next. A read may be repeated: one that failed in passing is, a few times
and at once, so that a short trouble of a vendor costs no task its retry; then it is transient. A write is sent once. It
is *refused* or *not applied* only when its vendor's `Proof` lists the answer, or when nothing was connected; every
other answer, a time-out or a reset leaves it uncertain. Before each call the vendor's account is asked whether it may
go, and after it told how it went.
"""

from __future__ import annotations

import random
import re
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import urlsplit

import requests

from psflow import crash
from psflow.contracts import OpenEffect
from psflow.contracts.text import one_line
from psflow.errors import ConfigurationError, Rejected, TransientError, Unauthorized, UncertainOutcome
from psflow.systems.account import Account, News, Nobody, Sign, Signs
from psflow.systems.lines import Lines, never_connected

_CHUNK = 1 << 16
_ENDING = ("Deprecation", "Sunset")
_BODY_LIMIT = 64 << 20  # a page larger than this is a vendor defect, not data
_EXCERPT = 500  # characters of an answer that an error repeats
_REASON = 120  # characters of it that everybody who waits is shown
_PATIENCE_S = 60.0  # how long a read waits for its turn
_SECRET = re.compile(r"(?i)((?:password|secret|token|authorization)\W{0,4}[:=]\W{0,4})[^\s\"'&,]+")


@dataclass(frozen=True, slots=True)
class Proof:
    """
    Which answers of one vendor prove what became of a write; no other answer proves anything.

    A redirect, a 403 or a 404 may come from whatever stands before the vendor, and may pass. `not_applied` goes first.
    """

    refused: tuple[Sign, ...] = ((400, ""), (422, ""))
    not_applied: tuple[Sign, ...] = ((401, ""), (429, ""))


_USUAL, _USUAL_SIGNS = Proof(), Signs()


@dataclass(frozen=True, slots=True)
class Patience:
    """How often a read is tried in all. No try begins later than `within_s` after the first; pauses double."""

    tries: int = 4
    within_s: float = 5
    pause_s: float = 0.2


ONCE = Patience(tries=1)


@dataclass(frozen=True, slots=True)
class Reply:
    """A vendor's answer, read whole within the deadline."""

    status: int
    headers: Mapping[str, str]
    body: bytes


@dataclass(slots=True)
class Transport:
    """
    One vendor host with one session.

    `deadline_s` is the total time of a request, body included. Redirects are never followed: a redirected
    write would carry our payload and token to a host nobody configured. `notices` gathers what the vendor announced
    about the end of its version (RFC 9745 Deprecation, RFC 8594 Sunset). `account` is asked before each call and told
    after it, by the vendor's `signs`.
    """

    system: str
    base_url: str
    deadline_s: float
    session: requests.Session = field(default_factory=requests.Session)
    patience: Patience = Patience()
    notices: set[str] = field(default_factory=set)
    account: Account = field(default_factory=Nobody)
    signs: Signs = _USUAL_SIGNS
    _signs_in: bool = field(default=False, init=False, repr=False)
    _lines: Lines = field(init=False, repr=False)

    def __post_init__(self) -> None:
        parts = urlsplit(self.base_url)
        if parts.scheme not in ("http", "https") or not parts.hostname:
            raise ConfigurationError(f"{self.system}: base URL {self.base_url!r} needs http(s)://host")
        if parts.scheme == "http" and parts.hostname not in ("127.0.0.1", "localhost", "::1"):
            raise ConfigurationError(f"{self.system}: {parts.hostname} must be reached over https")
        self._settle()
        self._lines = Lines()
        self.session.mount(self.base_url.rstrip("/"), self._lines)

    def _settle(self) -> None:
        """Look up once what the environment says of proxies and certificates: each page would look it all up again."""
        kept = self.session  # what the connection says comes first
        told = kept.merge_environment_settings(self.base_url, dict(kept.proxies), None, kept.verify, kept.cert)
        kept.proxies, kept.verify, kept.cert, kept.trust_env = told["proxies"], told["verify"], told["cert"], False

    def read(
        self, method: str, path: str, later: tuple[Sign, ...] = (), patience: Patience | None = None, **request: Any
    ) -> Reply:
        """
        Send a request that changes nothing, and send it again when it failed in passing.

        `later` are the answers below 500 by which this vendor only puts us off. A Retry-After that `patience` has no
        time for is left to the caller. Raises TransientError; Unauthorized when the vendor forbids us this and, as it
        says, everything; on any other 3xx or 4xx Rejected.
        """
        patience, tries = patience or self.patience, 1
        until = time.monotonic() + patience.within_s
        while True:
            try:
                return self._read(method, path, later, **request)
            except TransientError as error:
                wish = error.retry_after_s or patience.pause_s * 2 ** (tries - 1)
                pause = wish * random.uniform(1, 1.25)  # or all who failed together would come back together
                if tries >= patience.tries or error.code == "401" or time.monotonic() + pause > until:
                    raise
            time.sleep(pause)
            tries += 1

    def _read(self, method: str, path: str, later: tuple[Sign, ...], **request: Any) -> Reply:
        self.account.admit(_PATIENCE_S, is_write=False)
        try:
            reply = self._called(method, path, **request)
        except requests.RequestException as error:
            raise TransientError(f"{self.system}: {method} {path} failed: {type(error).__name__}") from None
        news = self._tell(reply, request)
        if reply.status < 300 and news != "refused":  # most answers: an excerpt of a page costs more than its decoding
            return reply
        said = f"{self.system}: {method} {path} answered {reply.status}: {_excerpt(reply, request)}"
        if reply.status in (401, 408, 425, 429) or reply.status >= 500 or _proves(reply, later):
            raise TransientError(said, retry_after(reply), str(reply.status))
        if news == "refused":
            raise Unauthorized(said)
        raise Rejected(said, str(reply.status))

    def write(self, effect: OpenEffect, method: str, path: str, proof: Proof = _USUAL, **request: Any) -> Reply:
        """Send a request that changes something, under an open effect. Raises by outcome, see the module."""
        effect.permit(self.system)
        self.account.admit(max(0.0, effect.send_before - time.monotonic()) / 2, is_write=True)
        effect.permit(self.system)  # it may have waited for its turn
        name = f"{self.system}.{effect.capability}"
        crash.point(f"{name}:before-call")
        try:
            reply = self._called(method, path, **request)
        except (requests.exceptions.ConnectTimeout, requests.exceptions.InvalidURL) as error:
            raise TransientError(f"{self.system}: {effect.key} was not sent: {type(error).__name__}") from None
        except requests.ConnectionError as error:
            if never_connected(error):
                raise TransientError(f"{self.system}: {effect.key} was not sent: no connection") from None
            raise UncertainOutcome(f"{self.system}: {effect.key}: connection lost after sending") from None
        except requests.RequestException as error:
            raise UncertainOutcome(f"{self.system}: {effect.key}: {type(error).__name__} after sending") from None
        crash.point(f"{name}:answered")
        self._tell(reply, request, proof.not_applied)
        if reply.status < 300:
            return reply
        said = f"{self.system}: {effect.key} answered {reply.status}: {_excerpt(reply, request)}"
        if _proves(reply, proof.not_applied):
            raise TransientError(said, retry_after(reply), str(reply.status))
        if _proves(reply, proof.refused):
            raise Rejected(said, str(reply.status))
        raise UncertainOutcome(said)

    @contextmanager
    def signing_in(self) -> Iterator[None]:
        """
        Let the block sign in, one process at a time. That a vendor takes the login tells nothing of what it lets us do.

        Unauthorized in the block means that our credentials are refused: the account is told, and so are people.
        """
        with self.account.signing_in():
            self._signs_in = True
            try:
                yield
            except Unauthorized as error:
                self.account.note("refused", str(error))
                raise
            finally:
                self._signs_in = False

    def _called(self, method: str, path: str, **request: Any) -> Reply:
        try:
            return self._send(method, path, **request)
        except requests.RequestException as error:
            self.account.note("failed", f"{type(error).__name__} on {method}")
            raise

    def _tell(self, reply: Reply, request: Mapping[str, Any], not_applied: tuple[Sign, ...] = ()) -> News:
        """Tell the account how it took the call: a 5xx that proves a busy record is no trouble of the vendor's."""
        wait_s, news = retry_after(reply), _news(reply, self.signs, not_applied)
        if news != "answered":
            self.account.note(news, f"answered {reply.status}: {_excerpt(reply, request)[:_REASON]}", wait_s)
        elif not self._signs_in:
            self.account.note("answered")
        return news

    def _send(self, method: str, path: str, **request: Any) -> Reply:
        url = self.base_url.rstrip("/") + "/" + path.lstrip("/")
        request.setdefault("timeout", self.deadline_s)
        with self._lines.cut_after(self.deadline_s) as ends:
            try:
                with self.session.request(method, url, allow_redirects=False, stream=True, **request) as response:
                    reply = Reply(response.status_code, response.headers, _body(response))
            except requests.RequestException as error:
                if time.monotonic() < ends or never_connected(error):
                    raise
        if time.monotonic() > ends:  # also when all seems well: a line that was cut may look like the end of the answer
            raise requests.Timeout(f"{self.system}: answer took longer than {self.deadline_s:g} s")
        self.notices |= {f"{name}: {reply.headers[name][:100]}" for name in _ENDING if name in reply.headers}
        return reply


def _body(response: requests.Response) -> bytes:
    body = bytearray()
    for chunk in response.iter_content(_CHUNK):
        body += chunk
        if len(body) > _BODY_LIMIT:
            raise requests.Timeout(f"answer longer than {_BODY_LIMIT} bytes")
    return bytes(body)


def _news(reply: Reply, signs: Signs, not_applied: tuple[Sign, ...]) -> News:
    if _proves(reply, signs.throttled) or (reply.status == 503 and retry_after(reply) is not None):
        return "throttled"
    if _proves(reply, signs.refused):
        return "refused"
    if _proves(reply, not_applied):
        return "answered"
    return "failed" if reply.status >= 500 or reply.status in (408, 425) else "answered"


def _proves(reply: Reply, signs: tuple[Sign, ...]) -> bool:
    return any(reply.status == status and word.encode() in reply.body for status, word in signs)


def _excerpt(reply: Reply, request: Mapping[str, Any]) -> str:
    """Return how an answer begins, without its markup and without what we signed in with."""
    told = [value for name, value in reply.headers.items() if "error-mess" in name.lower()]  # where a body is empty
    text = " ".join([*told, re.sub(r"<[^>]*>", " ", reply.body[:_CHUNK].decode("utf-8", "replace"))])
    for secret in str((request.get("headers") or {}).get("Authorization", "")).split()[1:]:
        text = text.replace(secret, "***")
    return one_line(_SECRET.sub(r"\1***", text))[:_EXCERPT]


def retry_after(reply: Reply) -> float | None:
    """Return the seconds of a Retry-After header, or None when it is absent or a date."""
    value = reply.headers.get("Retry-After", "")
    return float(value) if value.isdigit() else None
