"""Names and notes that try to be something else: SQL, SOQL, a formula, markup, a line of a log, an address."""

from __future__ import annotations

import random
from collections.abc import Iterator

SEEDS = (
    "'; drop table core.customer; --", "\\'; select pg_sleep(9); --", "' or '1'='1", "%s %(name)s %%", "$1", "$$ ; $$",
    "\\.", "\\N", "a\tb\\tc", "' OR Name LIKE '%", "\\' OR Id != '", "006000000000001AAA' OR '1'='1",
    "=cmd|' /C calc'!A0", "+1+1", "-2+3", "@SUM(A1)", "\t=1+1", "\u200b=1+1", "\uff1d1+1", 'a","b', 'a"\n"b',
    "<script>alert(1)</script>",
    '"><img src=x onerror=alert(1)>', "' autofocus onfocus='alert(1)", "</td></tr></table>",
    "<!--", "&lt;script&gt;", "&#x3c;svg/onload=alert(1)&#x3e;", "</textarea><svg onload=alert(1)>",
    "{{ 7*7 }}{% raw %}",
    "{{ var.value.secret }}", "${7*7}", "[a](javascript:alert(1))", "![x](https://evil.example/p.png)",
    "**b** `c` ~~d~~",
    "| a | b |\n|---|---|", "<https://evil.example>", "https://evil.example/?q=1",
    "www.evil.example", "me@evil.example",
    "\n# head\n\n- list", "```\ncode\n```", "ok\r\n2026-11-24 00:00:00 ERROR forged=1", "ok\nlevel=critical forged",
    "\x1b[2J\x1b[31mred", "\x1b]8;;https://evil.example\x07link\x1b]8;;\x07", "\x07\x08\x7f\x9b31m",
    "\u2028\u2029\x85\x0b\x0cz",
    "\u202egnp.exe", "\u2066x\u2069", "\ufeffa", "[red]rich[/red]", "[link=https://evil.example]x[/link]", "[/]",
    "../../../etc/passwd", "..\\..", "//evil.example/x", "?q=1#f", "%2e%2e%2f", "%0d%0aSet-Cookie: a=1",
    "@evil.example", "http://evil.example\\@127.0.0.1", "javascript:alert(1)", "a;b&c=d", "L" * 3000,
    "Zoë & Çelik <GmbH>", "\u200b", "\u3164",
)  # fmt: skip
_LETTERS = "abcXYZ019 '\"\\`;:,.%$#@!?&=+-*/|<>()[]{}~^_\t\n\r\x1b\x07\x85\u200b\u2028\u202eé漢🙂"


def strings(count: int, seed: int) -> Iterator[str]:
    """Yield `count` strings, some of which show nothing: each seed, then seeds cut, joined and mixed with marks."""
    chance = random.Random(seed)
    yield from SEEDS[:count]
    for _ in range(count - len(SEEDS)):
        parts = [chance.choice(SEEDS)[: chance.randint(1, 40)] for _ in range(chance.randint(1, 3))]
        parts.insert(chance.randint(0, len(parts)), "".join(chance.choices(_LETTERS, k=chance.randint(0, 12))))
        yield "".join(parts)
