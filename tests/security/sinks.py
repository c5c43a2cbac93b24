"""
Where psflow writes what others wrote. Each sink has the product's writer, a naive one, and a check of what came out.

A check compares with what the same writer makes of a harmless word: same tags, same lines, same host.
"""

from __future__ import annotations

import csv
import datetime as dt
import io
from collections.abc import Callable
from dataclasses import dataclass
from html.parser import HTMLParser
from typing import Any
from urllib.parse import parse_qsl, unquote, urlsplit

from markdown_it import MarkdownIt
from rich.console import Console

from psflow import trace
from psflow.config import load
from psflow.errors import PsflowError
from psflow.flows import alert_message
from psflow.sandbox import meridian
from psflow.systems.bamboohr.client import BambooHR
from psflow.systems.kantata.client import Kantata
from psflow.systems.salesforce import soql
from psflow.systems.salesforce.client import Salesforce
from psflow.systems.transport import Reply, Transport, _excerpt
from psflow_airflow.operators.billing_decision import body
from psflow_airflow.pages import links, render
from tests.proof.report import REPOSITORY

_HOST = "https://vendor.example"


@dataclass(frozen=True)
class Sink:
    """`holds(text, written)`: whether what was written says the text and nothing else."""

    name: str
    write: Callable[[str], str]
    naive: Callable[[str], str]
    holds: Callable[[str, str], bool]

    def checked(self, text: str) -> bool:
        return self.holds(text, self.write(text))


class Tags(HTMLParser):
    """The tags of a page with the names of their attributes, and its comments."""

    def __init__(self, page: str) -> None:
        super().__init__(convert_charrefs=True)
        self.found: list[Any] = []
        self.addresses: list[str] = []
        self.feed(page)
        self.close()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.found.append((tag, [name for name, _ in attrs]))
        self.addresses += [value or "" for name, value in attrs if name in ("href", "src", "action")]

    def handle_endtag(self, tag: str) -> None:
        self.found.append(f"/{tag}")

    def handle_comment(self, data: str) -> None:
        self.found.append("!")


# -- pages, mails and chats


def _page(text: str) -> str:
    from fastapi import Request

    request = Request({"type": "http", "root_path": "/psflow", "headers": [], "path": "/", "query_string": b""})
    asked = {"id": text, "found": {}, "known": text, "heads": {}, "only": None, "rows": [], "run": links.run}
    pages = (render.page(request, "trace.html", **asked), render.page(request, "message.html", says=text))
    return "".join(bytes(page.body).decode() for page in pages)


_NOW = dt.datetime(2026, 11, 24, tzinfo=dt.UTC)


def _item(text: str) -> alert_message.Item:
    return alert_message.Item(1, "new", 1, "record", text, text, text, text, text, "open", _NOW, None, None, None)


def _alert(text: str) -> alert_message.Message:
    return alert_message.of_alert(alert_message.Alert("pmo", (_item(text),)), "", _HOST)


def _same_tags(write: Callable[[str], str]) -> Callable[[str, str], bool]:
    plain = Tags(write("harmless"))

    def holds(_: str, written: str) -> bool:
        page = Tags(written)
        strange = [a for a in page.addresses if not (a.startswith(("/", "?", "#", f"{_HOST}/")) and a[:2] != "//")]
        return page.found == plain.found and not strange

    return holds


def _same_lines(write: Callable[[str], str]) -> Callable[[str, str], bool]:
    count = len(write("harmless").splitlines())

    def holds(_: str, written: str) -> bool:
        return len(written.splitlines()) == count and all(c.isprintable() or c == "\n" for c in written)

    return holds


# -- Markdown of the approval

_MARKDOWN = MarkdownIt("gfm-like")


def _body(text: str) -> str:
    names = ("batch_id", "legal_entity_id", "period", "invoiced_on", "projects", "charges", "held", "totals",
             "content_hash")  # fmt: skip
    return body(dict.fromkeys(names, text))


def _unescaped_body(text: str) -> str:
    return _body("harmless").replace("harmless", text)


def _tokens(written: str) -> list[str]:
    tokens = _MARKDOWN.parse(written)
    return [t.type for token in tokens for t in (token, *(token.children or ())) if t.type != "text"]


_BODY_TOKENS = _tokens(_body("harmless"))


def _same_markdown(_: str, written: str) -> bool:
    return _tokens(written) == _BODY_TOKENS


# -- lines of logs and of the terminal


def _vendors_answer(text: str) -> str:
    return _excerpt(Reply(400, {}, text.encode("utf-8", "replace")), {})


def _one_printable_line(_: str, written: str) -> bool:
    return written == "" or (written.isprintable() and len(written.splitlines()) == 1)


def _console(text: str) -> str:
    said = io.StringIO()
    console = Console(file=said, force_terminal=True, width=100_000, color_system=None, highlight=False)
    console.print(trace._shown(text), soft_wrap=True)
    return said.getvalue().removesuffix("\n")


def _unescaped_console(text: str) -> str:
    said = io.StringIO()
    console = Console(file=said, force_terminal=True, width=100_000, color_system=None, highlight=False)
    try:
        console.print(text, soft_wrap=True)
    except Exception as error:  # markup that closes nothing
        return f"\x1b{error}"
    return said.getvalue().removesuffix("\n")


def _same_on_the_console(text: str, written: str) -> bool:
    return written.count("\n") == text.count("\n") and all(c.isprintable() or c == "\n" for c in written)


# -- SOQL


def _soql(text: str) -> str:
    try:
        literal = soql.soql_id(text)
    except ValueError:
        return ""  # refused
    return f"SELECT Id FROM Opportunity WHERE Id = {literal}"


def _one_condition(text: str, written: str) -> bool:
    if not written:
        return True
    try:
        where = soql.parse(written).where
    except soql.MalformedQuery:
        return False
    return where == (soql.Condition("Id", "=", text),)


# -- CSV


def _csv(text: str) -> str:
    deals = [line.split(",")[0] for line in meridian.opening_csv(_Codes("n")).splitlines()[1:]]
    return meridian.opening_csv(_Codes(text if deals else ""))


class _Codes(dict[str, str]):
    """Every deal's project code is the same text."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.text = text

    def __missing__(self, deal: str) -> str:
        return self.text


def _same_cells(text: str, written: str) -> bool:
    rows = list(csv.reader(io.StringIO(written, newline="")))
    return len(rows) == _CSV_ROWS and all(len(row) == 5 and row[0] == text for row in rows[1:])


_CSV_ROWS = len(meridian.opening_csv(_Codes("n")).splitlines())


# -- addresses


def _adapters() -> list[Any]:
    profiles = load(REPOSITORY / "psflow.yaml").systems
    return [
        Salesforce(Transport("salesforce", _HOST, 1), profiles["salesforce"], "app", "x"),
        Kantata(Transport("kantata", _HOST, 1), profiles["kantata"], "x", app_url=_HOST),
        BambooHR(Transport("bamboohr", _HOST, 1), profiles["bamboohr"], "x"),
    ]


_ADAPTERS = _adapters()


def _urls(text: str) -> str:
    found = []
    for adapter in _ADAPTERS:
        try:
            found.append(adapter.url("project", text))
        except PsflowError:
            continue
    return "\n".join([*found, _HOST + links.run("activation", text), f"{_HOST}/x{render.query(q=text)}"])


def _naive_urls(text: str) -> str:
    return "\n".join(url.replace("harmless", text) for url in _URLS)


_URLS = _urls("harmless").split("\n")


def _same_place(text: str, written: str) -> bool:
    urls = written.split("\n")
    return len(urls) == len(_URLS) and all(map(_leads_there, urls, _URLS, [text] * len(urls)))


def _leads_there(url: str, plain: str, text: str) -> bool:
    """Whether an address is the harmless one with the text as one part of its path or one value of its query."""
    now, then = urlsplit(url), urlsplit(plain)
    place = (now.scheme, now.netloc, now.fragment, now.path.count("/"), url.isprintable())
    said = [unquote(part) for part in now.path.split("/")] + [value for _, value in parse_qsl(now.query)]
    return place == ("https", "vendor.example", "", then.path.count("/"), True) and text in said


SINKS = [
    Sink("page", _page, lambda t: _page("harmless").replace("harmless", t), _same_tags(_page)),
    Sink("mail_html", lambda t: _alert(t).html, lambda t: _alert("harmless").html.replace("harmless", t),
         _same_tags(lambda t: _alert(t).html)),
    Sink("mail_text", lambda t: _alert(t).text, lambda t: _alert("harmless").text.replace("harmless", t),
         _same_lines(lambda t: _alert(t).text)),
    Sink("mail_subject", lambda t: _alert(t).subject, lambda t: f"new: {t}", _one_printable_line),
    Sink("chat", lambda t: str(_alert(t).chat["text"]), lambda t: f"- {t}", lambda t, written: written == _CHAT),
    Sink("approval", _body, _unescaped_body, _same_markdown),
    Sink("log", _vendors_answer, lambda t: t, _one_printable_line),
    Sink("terminal", _console, _unescaped_console, _same_on_the_console),
    Sink("soql", _soql, lambda t: f"SELECT Id FROM Opportunity WHERE Id = '{t}'", _one_condition),
    Sink("csv", _csv, lambda t: meridian.opening_csv(_Codes("n")).replace("n,", f"{t},"), _same_cells),
    Sink("url", _urls, _naive_urls, _same_place),
]  # fmt: skip
_CHAT = str(_alert("harmless").chat["text"])
