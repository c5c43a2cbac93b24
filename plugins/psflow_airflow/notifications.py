"""
Airflow notifiers: a mail with plain text and HTML, and a JSON webhook. Both work as callbacks of any DAG, too.

What they send is data and never a template. Errors name connection and reason, never an address or an answer.
"""

from __future__ import annotations

from collections.abc import Sequence
from email.message import EmailMessage
from email.policy import SMTP
from email.utils import formatdate
from typing import TYPE_CHECKING, Any, cast

from airflow.providers.http.hooks.http import HttpHook
from airflow.providers.smtp.hooks.smtp import SmtpHook
from airflow.sdk import BaseNotifier

from psflow.errors import ConfigurationError, TransientError
from psflow_airflow.hooks.base import found

if TYPE_CHECKING:
    import smtplib

    from airflow.sdk import Connection, Context

    from psflow.config import Channel
    from psflow.flows.alert_message import Message

_TIMEOUT_S = 30
_PASSES = {408, 425, 429}  # statuses below 500 that may pass by themselves


class MailNotifier(BaseNotifier):
    """
    Send a mail, once to all addresses.

    :param conn_id: connection of Airflow's type `smtp`; the sender is its extra field `from_email`, else its login.
    :param to: addresses.
    :param subject: one line. Not templated, as all fields.
    :param text: the plain text.
    :param html: the same as HTML; left out, the mail is plain text only.
    :param key: what the Message-ID is made of, so that the same news sent again is the same mail.
    """

    def __init__(
        self, *, conn_id: str, to: Sequence[str], subject: str, text: str, html: str = "", key: str = "", **kwargs: Any
    ) -> None:
        super().__init__(**kwargs)
        self.conn_id = conn_id
        self.to = tuple(to)
        self.subject = subject
        self.text = text
        self.html = html
        self.key = key

    def notify(self, context: Context) -> None:
        """Send it. Raises ConfigurationError without a sender, TransientError when no address took it."""
        connection = _of_type(self.conn_id, "smtp", "a mail")
        mail = self._mail(_sender(connection))
        try:
            with SmtpHook(smtp_conn_id=self.conn_id) as hook:
                refused = cast("smtplib.SMTP", hook._smtp_client).send_message(mail)  # the hook's own sends HTML only
        except Exception as error:  # its text may hold addresses
            raise TransientError(
                f"connection {self.conn_id!r}: the mail was not taken ({type(error).__name__}); it is sent again"
            ) from None
        if refused:  # the others have it: sending it again would tell them twice
            self.log.warning("connection %s: %s of %s addresses were refused", self.conn_id, len(refused), len(self.to))

    def _mail(self, sender: str) -> EmailMessage:
        mail = EmailMessage(policy=SMTP)  # this policy refuses a line break in a header
        mail["Subject"] = self.subject
        mail["From"] = sender
        mail["To"] = ", ".join(self.to)
        mail["Date"] = formatdate()
        mail["Auto-Submitted"] = "auto-generated"
        if self.key:
            mail["Message-ID"] = f"<{self.key}@{sender.rpartition('@')[2]}>"
        mail.set_content(self.text)
        if self.html:
            mail.add_alternative(self.html, subtype="html")
        return mail


class WebhookNotifier(BaseNotifier):
    """
    Post JSON. Redirects are not followed.

    :param conn_id: connection of Airflow's type `http`. Where the address is itself the secret, its path goes into the
        password and the login stays empty.
    :param body: the JSON. Not templated.
    :param key: sent as the header `Idempotency-Key`.
    """

    def __init__(self, *, conn_id: str, body: dict[str, Any], key: str = "", **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.conn_id = conn_id
        self.body = body
        self.key = key

    def notify(self, context: Context) -> None:
        """Post it. Raises TransientError when that may pass by itself, else ConfigurationError."""
        connection = _of_type(self.conn_id, "http", "a webhook")
        status = self._post(None if connection.login else connection.password)
        if 200 <= status < 300:
            return
        said = f"connection {self.conn_id!r}: the webhook answered {status}"
        if status >= 500 or status in _PASSES:
            raise TransientError(f"{said}; it is sent again")
        raise ConfigurationError(f"{said}; correct its address")

    def _post(self, path: str | None) -> int:
        options = {"allow_redirects": False, "check_response": False, "timeout": _TIMEOUT_S}
        headers = {"Idempotency-Key": self.key} if self.key else {}
        try:
            answer = HttpHook("POST", self.conn_id).run(path, headers=headers, extra_options=options, json=self.body)
        except Exception as error:  # its text may hold the address
            raise TransientError(
                f"connection {self.conn_id!r}: the webhook does not answer ({type(error).__name__}); it is sent again"
            ) from None
        return int(answer.status_code)


def notifier(channel: Channel, message: Message) -> BaseNotifier:
    """Return what sends a message to a channel of psflow.yaml: a mail when it has addresses, else a webhook."""
    if channel.to:
        return MailNotifier(
            conn_id=channel.conn_id, to=channel.to, subject=message.subject, text=message.text, html=message.html,
            key=message.key,
        )  # fmt: skip
    return WebhookNotifier(conn_id=channel.conn_id, body=message.chat, key=message.key)


def _of_type(conn_id: str, conn_type: str, what: str) -> Connection:
    connection = found(conn_id)
    if connection.conn_type != conn_type:
        raise ConfigurationError(
            f"connection {conn_id!r} is of type {connection.conn_type}; {what} needs one of type {conn_type} "
            "(in psflow.yaml a channel with `to` is a mail, one without a webhook)"
        )
    return connection


def _sender(connection: Connection) -> str:
    sender = str(connection.extra_dejson.get("from_email") or connection.login or "")
    if "@" not in sender:
        raise ConfigurationError(f"connection {connection.conn_id!r} lacks its sender; fill in From email")
    return sender
