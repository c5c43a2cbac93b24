"""Pages, mails, chats, the approval: what others wrote among markup, by psflow's own writers, and what came of it."""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable, Sequence
from functools import cache
from html.parser import HTMLParser
from string import Formatter
from typing import Any
from urllib.parse import urlsplit

from fastapi import Request
from markdown_it import MarkdownIt

from psflow.flows import alert_message
from psflow_airflow.operators.billing_decision import _BODY, body
from psflow_airflow.pages import links, render

HOST = "https://vendor.example"


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


def _rendered(template: str, **shown: Any) -> str:
    request = Request({"type": "http", "root_path": "/psflow", "headers": [], "path": "/", "query_string": b""})
    return bytes(render.page(request, template, **shown).body).decode()


def _trace(text: str, found: Sequence[str] = ()) -> str:
    heads = {each: {"name": each, "customer_name": each} for each in found}
    shown = {"found": {each: [each] for each in found}, "heads": heads, "only": None, "rows": [], "run": links.run}
    return _rendered("trace.html", id=text, known=text, **shown)


def page(text: str) -> str:
    return _trace(text) + _rendered("message.html", says=text)


def pages_hold(texts: Sequence[str]) -> bool:
    """Whether a page that lists engagements is the one that lists as many harmless ones."""
    several = list(dict.fromkeys(texts))
    return _is_like(_listing(len(several)), _trace(several[0], several))


@cache
def _listing(count: int) -> Tags:
    return Tags(_trace("harmless", [f"harmless{n}" for n in range(count)]))


_NOW = dt.datetime(2026, 11, 24, tzinfo=dt.UTC)


def _item(text: str) -> alert_message.Item:
    return alert_message.Item(1, "new", 1, "record", text, text, text, text, text, "open", _NOW, None, None, None)


def alert(text: str) -> alert_message.Message:
    return alert_message.of_alert(alert_message.Alert("pmo", (_item(text),)), "", HOST)


def same_tags(write: Callable[[str], str]) -> Callable[[str, str], bool]:
    plain = Tags(write("harmless"))
    return lambda _, written: _is_like(plain, written)


def _is_like(plain: Tags, written: str) -> bool:
    page = Tags(written)
    strange = [a for a in page.addresses if not (a.startswith(("/", "?", "#", f"{HOST}/")) and a[:2] != "//")]
    return page.found == plain.found and not strange


def same_lines(write: Callable[[str], str]) -> Callable[[str, str], bool]:
    count = len(write("harmless").splitlines())

    def holds(_: str, written: str) -> bool:
        return len(written.splitlines()) == count and all(c.isprintable() or c == "\n" for c in written)

    return holds


# -- Markdown of the approval

_MARKDOWN = MarkdownIt("gfm-like")
PLACES = tuple(name for _, name, _, _ in Formatter().parse(_BODY) if name and name != "plan")


def approval(text: str) -> str:
    return body(dict.fromkeys(PLACES, text))


def approvals_hold(texts: Sequence[str]) -> bool:
    """Whether a body with another text in each of its places is the harmless one."""
    return same_markdown("", body(dict.fromkeys(PLACES, texts[-1]) | dict(zip(PLACES, texts, strict=False))))


def unescaped_approval(text: str) -> str:
    return approval("harmless").replace("harmless", text)


def _tokens(written: str) -> list[tuple[str, str]]:
    """Return each token that is no text, a link with where it leads."""
    tokens = [t for token in _MARKDOWN.parse(written) for t in (token, *(token.children or ())) if t.type != "text"]
    return [(t.type, _folder(str(t.attrs["href"])) if "href" in t.attrs else "") for t in tokens]


def _folder(address: str) -> str:
    parts = urlsplit(address)
    return f"{parts.scheme}://{parts.netloc}{parts.path.rpartition('/')[0]}?{parts.query}#{parts.fragment}"


_BODY_TOKENS = _tokens(approval("harmless"))


def same_markdown(_: str, written: str) -> bool:
    return _tokens(written) == _BODY_TOKENS
