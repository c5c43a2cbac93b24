"""
The one way to a vendor. Nothing else in psflow may use an HTTP library (a test looks).

HTTP outcomes become errors by what must happen next; a vendor's client refines the 4xx. Reads may be
repeated, so any failed read is transient. A write is *not applied* only with proof (no connection, 401, 429);
a time-out, a reset or a 5xx after the first byte leaves it uncertain.
"""

from __future__ import annotations

import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import urlsplit

import requests

from psflow import crash
from psflow.contracts import OpenEffect
from psflow.errors import ConfigurationError, Rejected, TransientError, UncertainOutcome

_CHUNK = 1 << 16
_BODY_LIMIT = 64 << 20  # a page larger than this is a vendor defect, not data


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
    write would carry our payload and token to a host nobody configured.
    """

    system: str
    base_url: str
    deadline_s: float
    session: requests.Session = field(default_factory=requests.Session)

    def __post_init__(self) -> None:
        parts = urlsplit(self.base_url)
        if parts.scheme not in ("http", "https") or not parts.hostname:
            raise ConfigurationError(f"{self.system}: base URL {self.base_url!r} needs http(s)://host")
        if parts.scheme == "http" and parts.hostname not in ("127.0.0.1", "localhost", "::1"):
            raise ConfigurationError(f"{self.system}: {parts.hostname} must be reached over https")

    def read(self, method: str, path: str, **request: Any) -> Reply:
        """Send a request that changes nothing. Raises TransientError or, on a 4xx, Rejected."""
        try:
            reply = self._send(method, path, **request)
        except requests.RequestException as error:
            raise TransientError(f"{self.system}: {method} {path} failed: {type(error).__name__}") from None
        if reply.status in (401, 408, 425, 429) or reply.status >= 500:
            raise TransientError(f"{self.system}: {method} {path} answered {reply.status}", retry_after(reply))
        return self._accepted(reply, method, path)

    def write(self, effect: OpenEffect, method: str, path: str, **request: Any) -> Reply:
        """Send a request that changes something, under an open effect. Raises by outcome, see the module."""
        effect.permit(self.system)
        name = f"{self.system}.{effect.capability}"
        crash.point(f"{name}:before-call")
        try:
            reply = self._send(method, path, **request)
        except (requests.exceptions.ConnectTimeout, requests.exceptions.InvalidURL) as error:
            raise TransientError(f"{self.system}: {effect.key} was not sent: {type(error).__name__}") from None
        except requests.ConnectionError as error:
            if _never_connected(error):
                raise TransientError(f"{self.system}: {effect.key} was not sent: no connection") from None
            raise UncertainOutcome(f"{self.system}: {effect.key}: connection lost after sending") from None
        except requests.RequestException as error:
            raise UncertainOutcome(f"{self.system}: {effect.key}: {type(error).__name__} after sending") from None
        crash.point(f"{name}:answered")
        if reply.status in (401, 429):
            raise TransientError(f"{self.system}: {effect.key} answered {reply.status}", retry_after(reply))
        if reply.status >= 500 or reply.status == 408:
            raise UncertainOutcome(f"{self.system}: {effect.key} answered {reply.status}")
        return self._accepted(reply, method, path)

    def _accepted(self, reply: Reply, method: str, path: str) -> Reply:
        if reply.status >= 300:
            text = reply.body[:500].decode("utf-8", "replace")
            raise Rejected(f"{self.system}: {method} {path} answered {reply.status}: {text}", str(reply.status))
        return reply

    def _send(self, method: str, path: str, **request: Any) -> Reply:
        ends = time.monotonic() + self.deadline_s
        url = self.base_url.rstrip("/") + "/" + path.lstrip("/")
        request.setdefault("timeout", self.deadline_s)
        with self.session.request(method, url, allow_redirects=False, stream=True, **request) as response:
            body = bytearray()
            for chunk in response.iter_content(_CHUNK):
                body += chunk
                if time.monotonic() > ends or len(body) > _BODY_LIMIT:
                    raise requests.Timeout(
                        f"{self.system}: answer longer than {self.deadline_s:g} s or {_BODY_LIMIT} bytes"
                    )
            return Reply(response.status_code, response.headers, bytes(body))


def retry_after(reply: Reply) -> float | None:
    """Return the seconds of a Retry-After header, or None when it is absent or a date."""
    value = reply.headers.get("Retry-After", "")
    return float(value) if value.isdigit() else None


def _never_connected(error: BaseException) -> bool:
    """Walk the causes: urllib3 wraps a refused connection as NewConnectionError, everything later may have sent."""
    seen: BaseException | None = error
    while seen is not None:
        if type(seen).__name__ in ("NewConnectionError", "NameResolutionError", "ConnectTimeoutError"):
            return True
        inner = seen.args[0] if seen.args and isinstance(seen.args[0], BaseException) else None
        reason = getattr(inner or seen, "reason", None)
        seen = reason if isinstance(reason, BaseException) else inner or seen.__cause__
    return False
