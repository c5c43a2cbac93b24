"""
Where psflow writes what others wrote. Each sink has the product's writer, a naive one, and a check of what came out.

A check compares with what the same writer makes of a harmless word: same tags, same lines, same host.
"""

from __future__ import annotations

import csv
import io
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any
from urllib.parse import parse_qsl, unquote, urlsplit

from rich.console import Console

from psflow import trace
from psflow.config import load
from psflow.errors import PsflowError
from psflow.sandbox import meridian
from psflow.systems.bamboohr.client import BambooHR
from psflow.systems.kantata.client import Kantata
from psflow.systems.salesforce import soql
from psflow.systems.salesforce.client import Salesforce
from psflow.systems.transport import Reply, Transport, _excerpt
from psflow_airflow.pages import links, render
from tests.proof.report import REPOSITORY
from tests.security import markup, workbook_sink


@dataclass(frozen=True)
class Sink:
    """
    `holds(text, written)`: whether what was written says the text and nothing else.

    `all_hold`, where writing one by one takes long: the same of up to `width` texts that are written at once.
    """

    name: str
    write: Callable[[str], str]
    naive: Callable[[str], str]
    holds: Callable[[str, str], bool]
    all_hold: Callable[[Sequence[str]], bool] | None = None
    width: int = 1

    def checked(self, text: str) -> bool:
        return self.holds(text, self.write(text))

    def failing(self, texts: Sequence[str]) -> list[str]:
        """Return those that did not arrive as themselves; of a batch that only fails together, its first."""
        if self.all_hold is None:
            return [text for text in texts if not self.checked(text)]
        found = list[str]()
        for start in range(0, len(texts), self.width):
            batch = texts[start : start + self.width]
            if not self.all_hold(batch):
                found += [text for text in batch if not self.checked(text)] or batch[:1]
        return found


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
        Salesforce(Transport("salesforce", markup.HOST, 1), profiles["salesforce"], "app", "x"),
        Kantata(Transport("kantata", markup.HOST, 1), profiles["kantata"], "x", app_url=markup.HOST),
        BambooHR(Transport("bamboohr", markup.HOST, 1), profiles["bamboohr"], "x"),
    ]


_ADAPTERS = _adapters()


def _urls(text: str) -> str:
    found = []
    for adapter in _ADAPTERS:
        try:
            found.append(adapter.url("project", text))
        except PsflowError:
            continue
    return "\n".join([*found, markup.HOST + links.run("activation", text), f"{markup.HOST}/x{render.query(q=text)}"])


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
    Sink("page", markup.page, lambda t: markup.page("harmless").replace("harmless", t), markup.same_tags(markup.page),
         markup.pages_hold, 40),
    Sink("mail_html", lambda t: markup.alert(t).html, lambda t: markup.alert("harmless").html.replace("harmless", t),
         markup.same_tags(lambda t: markup.alert(t).html)),
    Sink("mail_text", lambda t: markup.alert(t).text, lambda t: markup.alert("harmless").text.replace("harmless", t),
         markup.same_lines(lambda t: markup.alert(t).text)),
    Sink("mail_subject", lambda t: markup.alert(t).subject, lambda t: f"new: {t}", _one_printable_line),
    Sink("chat", lambda t: str(markup.alert(t).chat["text"]), lambda t: f"- {t}", lambda t, written: written == _CHAT),
    Sink("approval", markup.approval, markup.unescaped_approval, markup.same_markdown, markup.approvals_hold,
         len(markup.PLACES)),
    Sink("log", _vendors_answer, lambda t: t, _one_printable_line),
    Sink("terminal", _console, _unescaped_console, _same_on_the_console),
    Sink("soql", _soql, lambda t: f"SELECT Id FROM Opportunity WHERE Id = '{t}'", _one_condition),
    Sink("csv", _csv, lambda t: meridian.opening_csv(_Codes("n")).replace("n,", f"{t},"), _same_cells),
    Sink("url", _urls, _naive_urls, _same_place),
    Sink("xlsx", workbook_sink.write, workbook_sink.naive, workbook_sink.holds, workbook_sink.all_hold, 500),
]  # fmt: skip
_CHAT = str(markup.alert("harmless").chat["text"])
