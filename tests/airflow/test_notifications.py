"""Mails and webhooks as they arrive, at a mail server and a web server of the test's own on this machine."""

from __future__ import annotations

import json
import socketserver
import threading
from collections.abc import Iterator
from email import message_from_bytes, policy
from email.message import EmailMessage
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from typing import Any

import pytest
from airflow.sdk.exceptions import AirflowSkipException

from psflow import config as firm_policy
from psflow.errors import ConfigurationError, TransientError
from psflow.store import exceptions
from psflow.store.connection import Store
from psflow.store.exceptions import Finding
from psflow_airflow.notifications import MailNotifier, WebhookNotifier
from psflow_airflow.operators.alerts import TellAlertsOperator, TellDigestOperator
from tests.airflow.conftest import context, set_connection

PATH = "/services/T0/B0/s3cretpath"
HOSTILE = "Evil\r\nBcc: all@firm.example\r\n\r\n<script>alert(1)</script> {{ 7*7 }} Zoë"


class _MailServer(socketserver.ThreadingTCPServer):
    """SMTP as far as a client without extensions speaks it; keeps who was written to, and the mail."""

    allow_reuse_address = True
    daemon_threads = True

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _MailSession)
        self.taken: list[tuple[list[str], EmailMessage]] = []
        self.refuses: set[str] = set()

    @property
    def mails(self) -> list[EmailMessage]:
        return [mail for _, mail in self.taken]


class _MailSession(socketserver.StreamRequestHandler):
    server: _MailServer

    def handle(self) -> None:
        recipients: list[str] = []
        self._say("220 sink")
        while line := self.rfile.readline().decode().strip():
            verb = line[:4].upper()
            if verb == "RCPT":
                address = line.partition("<")[2].rstrip(">")
                refused = address in self.server.refuses
                self._say("550 nobody of that name" if refused else "250 ok")
                recipients += [] if refused else [address]
            elif verb == "DATA":
                self._say("354 go on")
                self.server.taken.append((recipients, self._mail()))
                self._say("250 taken")
            else:
                self._say("221 bye" if verb == "QUIT" else "250 ok")

    def _mail(self) -> EmailMessage:
        lines = list(iter(self.rfile.readline, b".\r\n"))
        return message_from_bytes(b"".join(lines), policy=policy.default)

    def _say(self, line: str) -> None:
        self.wfile.write(f"{line}\r\n".encode())


class _WebServer(HTTPServer):
    """Keeps path, headers and JSON of each request and answers `status`."""

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _WebSession)
        self.taken: list[tuple[str, dict[str, str], Any]] = []
        self.status = 200


class _WebSession(BaseHTTPRequestHandler):
    server: _WebServer

    def do_POST(self) -> None:
        body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        self.server.taken.append((self.path, dict(self.headers), body))
        self.send_response(self.server.status)
        self.send_header("Location", "/elsewhere")
        self.send_header("Content-Length", "0")
        self.end_headers()

    def log_message(self, *_: Any) -> None:
        """Say nothing."""


def _served(server: Any) -> Iterator[Any]:
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True)
    thread.start()
    yield server
    server.shutdown()
    server.server_close()
    thread.join(5)


@pytest.fixture
def mails(monkeypatch: pytest.MonkeyPatch) -> Iterator[_MailServer]:
    """A mail server, with its connection."""
    server = _MailServer()
    set_connection(
        monkeypatch, "mail", conn_type="smtp", host="127.0.0.1", port=server.server_address[1],
        extra={"disable_ssl": True, "disable_tls": True, "from_email": "psflow@firm.example", "timeout": 5,
               "retry_limit": 0},
    )  # fmt: skip
    yield from _served(server)


@pytest.fixture
def hooks(monkeypatch: pytest.MonkeyPatch) -> Iterator[_WebServer]:
    """A web server, with its connection: the path of the address is the secret."""
    server = _WebServer()
    set_connection(
        monkeypatch, "chat", conn_type="http", host=f"http://127.0.0.1:{server.server_address[1]}", password=PATH
    )
    yield from _served(server)


@pytest.fixture
def told(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, app_url: str, mails: _MailServer, hooks: _WebServer
) -> tuple[_MailServer, _WebServer]:
    """Finance reads mail, the PMO a chat."""
    monkeypatch.setenv("AIRFLOW_CONN_PSFLOW_DB", app_url)
    monkeypatch.setenv("AIRFLOW__API__BASE_URL", "https://airflow.example/")
    shipped = firm_policy.default_path().read_text(encoding="utf-8")
    channels = "channels:\n  finance: {conn_id: mail, to: [fin@firm.example, cfo@firm.example]}\n  pmo: {conn_id: chat}"
    path = tmp_path / "psflow.yaml"
    path.write_text(shipped.replace("channels: {}", channels), encoding="utf-8")
    monkeypatch.setenv("PSFLOW_CONFIG", str(path))
    return mails, hooks


def find(store: Store, *found: Finding) -> None:
    with store.transaction("test"):
        exceptions.open_all(store, firm_policy.load(), found)


def alert() -> Any:
    return TellAlertsOperator(task_id="tell").execute(context())


def mail(**fields: Any) -> None:
    given: dict[str, Any] = {"conn_id": "mail", "to": ["fin@firm.example"], "subject": "hi", "text": "there"}
    MailNotifier(**given | fields)(context())


def test_a_mail_says_the_same_as_text_and_as_html_and_a_chat_says_no_foreign_word(
    told: tuple[_MailServer, _WebServer], store: Store
) -> None:
    mails, hooks = told
    find(
        store,
        Finding("rate", "time_entry", "77", "role", "x", HOSTILE),
        Finding("time_entry", "time_entry", "78", "minutes", "0", HOSTILE),
    )
    assert alert() == {"new": 2, "escalated": 0, "resolved": 0}
    ((recipients, mail),) = mails.taken
    assert recipients == ["fin@firm.example", "cfo@firm.example"]
    assert mail["Subject"] == "[psflow] finance: 1 new" and mail["From"] == "psflow@firm.example"
    assert mail["Bcc"] is None and mail["Auto-Submitted"] == "auto-generated"
    text, html = (part.get_content() for part in mail.iter_parts())
    assert "Evil Bcc: all@firm.example <script>alert(1)</script> {{ 7*7 }} Zoë" in text
    assert "<script>" not in html and "&lt;script&gt;" in html
    assert "https://airflow.example/psflow/exceptions/" in text and 'href="https://airflow.example/psflow/' in html
    ((path, headers, body),) = hooks.taken
    assert path == PATH and headers["Idempotency-Key"] == body["key"]
    assert "Authorization" not in headers
    assert body["team"] == "pmo" and "time_entry, due" in body["text"] and "Evil" not in str(body)
    assert [item["event"] for item in body["items"]] == ["new"]


def test_nobody_is_told_twice_and_the_digest_comes_once_a_day(
    told: tuple[_MailServer, _WebServer], store: Store
) -> None:
    mails, hooks = told
    find(store, Finding("rate", "time_entry", "77", "role", "x", "no rate"))
    alert()
    assert alert() == {"new": 0, "escalated": 0, "resolved": 0}
    assert TellDigestOperator(task_id="tell").execute(context()) == 1
    assert TellDigestOperator(task_id="tell").execute(context()) == 0
    assert [m["Subject"] for m in mails.mails] == [
        "[psflow] finance: 1 new", "[psflow] finance on 2026-11-03: 1 open, 0 overdue, 0 to approve",
    ]  # fmt: skip
    assert len({m["Message-ID"] for m in mails.mails}) == 2 and hooks.taken == []


def test_a_mail_server_that_is_away_is_tried_again_with_the_same_message_id(
    told: tuple[_MailServer, _WebServer], store: Store
) -> None:
    mails, hooks = told
    find(store, Finding("rate", "time_entry", "77", "role", "x", "no rate"))
    find(store, Finding("time_entry", "time_entry", "78", "minutes", "0", "TE-01"))
    mails.refuses = {"fin@firm.example", "cfo@firm.example"}
    with pytest.raises(TransientError) as caught:
        alert()
    assert "finance was not told: connection 'mail'" in str(caught.value)
    assert "firm.example" not in str(caught.value), "no address in an error"
    assert len(hooks.taken) == 1, "the PMO is told all the same"
    mails.refuses = {"cfo@firm.example"}
    assert alert()["new"] == 1
    assert mails.taken[0][0] == ["fin@firm.example"]
    assert sum(alert().values()) == 0, "one address that is refused does not write to the others for ever"


@pytest.mark.parametrize(
    ("status", "error", "says"),
    [
        (503, TransientError, "answered 503; it is sent again"),
        (429, TransientError, "answered 429"),
        (404, ConfigurationError, "answered 404; correct its address"),
        (302, ConfigurationError, "answered 302; correct its address"),
    ],
)
def test_a_webhook_that_does_not_take_it_says_what_to_do_and_not_its_address(
    hooks: _WebServer, status: int, error: type[Exception], says: str, caplog: pytest.LogCaptureFixture
) -> None:
    hooks.status = status
    with pytest.raises(error, match=says) as caught:
        WebhookNotifier(conn_id="chat", body={"text": "hi"})(context())
    assert len(hooks.taken) == 1, "a redirect is not followed"
    assert "s3cret" not in str(caught.value) + caplog.text


def test_a_webhook_where_nobody_listens_keeps_its_secret(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    from airflow._shared.secrets_masker import redact

    set_connection(monkeypatch, "chat", conn_type="http", host="http://127.0.0.1:9", password=PATH)
    with pytest.raises(TransientError) as caught:
        WebhookNotifier(conn_id="chat", body={"text": "hi"})(context())
    assert "s3cret" not in str(caught.value) and caught.value.__cause__ is None
    assert "s3cret" not in redact(caplog.text), "Airflow masks the password in what its own hook logs"


def test_what_is_sent_is_never_a_template_and_a_header_has_one_line(mails: _MailServer) -> None:
    mail(subject="{{ dag_run.run_id }}", text="{{ 7*7 }}")
    assert mails.mails[0]["Subject"] == "{{ dag_run.run_id }}"
    assert mails.mails[0].get_content().strip() == "{{ 7*7 }}"
    with pytest.raises(ValueError, match="linefeed"):
        mail(subject="hi\nBcc: all@firm.example")
    assert len(mails.taken) == 1


def test_a_connection_of_the_wrong_kind_or_without_a_sender_is_named(
    monkeypatch: pytest.MonkeyPatch, hooks: _WebServer
) -> None:
    with pytest.raises(ConfigurationError, match="'chat' is of type http; a mail needs one of type smtp"):
        mail(conn_id="chat")
    set_connection(monkeypatch, "mute", conn_type="smtp", host="127.0.0.1")
    with pytest.raises(ConfigurationError, match="'mute' lacks its sender; fill in From email"):
        mail(conn_id="mute")
    with pytest.raises(ConfigurationError, match="no connection 'nowhere'"):
        mail(conn_id="nowhere")


@pytest.mark.usefixtures("told")
def test_links_need_the_address_of_airflow(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("AIRFLOW__API__BASE_URL")
    with pytest.raises(ConfigurationError, match="set AIRFLOW__API__BASE_URL"):
        alert()


def test_without_channels_nobody_is_told(monkeypatch: pytest.MonkeyPatch, app_url: str) -> None:
    monkeypatch.setenv("AIRFLOW_CONN_PSFLOW_DB", app_url)
    with pytest.raises(AirflowSkipException, match="names no channels"):
        alert()
