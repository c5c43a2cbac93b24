"""A team is told once what is new, again when it is overdue and when it is over, and every day where it stands."""

from __future__ import annotations

import datetime as dt
import threading
from collections.abc import Callable
from decimal import Decimal
from pathlib import Path

import psycopg
import pytest

from psflow import config as policy
from psflow.config import Channel, Config
from psflow.errors import ConfigurationError, TransientError
from psflow.flows import alerts, billing
from psflow.flows.alert_message import Message
from psflow.store import exceptions
from psflow.store.connection import Store
from psflow.store.exceptions import Finding
from tests.database import REGION, shipped
from tests.flows.conftest import Firm, PassGate

BASE = "https://airflow.example"
NO_RATE = Finding(
    "rate", "time_entry", "77", "role", "Partner", "no USD rate for Partner", "E-1", Decimal("1200.5"), "USD"
)
HELD = Finding("time_entry", "time_entry", "78", "minutes", "2000", "TE-01: minutes are 1 to 1440")
DAY = dt.date(2026, 11, 25)


@pytest.fixture
def config() -> Config:
    """The shipped policy, with a channel for finance and one for the PMO."""
    channels = {"finance": Channel(conn_id="mail", to=("finance@firm.example",)), "pmo": Channel(conn_id="chat")}
    return shipped().model_copy(update={"channels": channels})


@pytest.fixture
def sent() -> list[Message]:
    return []


@pytest.fixture
def tell(store: Store, config: Config, sent: list[Message]) -> Callable[[], dict[str, int]]:
    """Tell what is due; what is sent lands in `sent`."""
    return lambda: alerts.tell(store, config, BASE, lambda _channel, message: sent.append(message))


def find(store: Store, config: Config, *findings: Finding) -> None:
    with store.transaction("test"):
        exceptions.open_all(store, config, findings)


def gone(store: Store, finding: Finding) -> None:
    with store.transaction("test"):
        exceptions.resolve(store, finding.rule, finding.entity, [finding.record_id])


def late(admin_url: str) -> None:
    """The due time of everything passes."""
    with psycopg.connect(admin_url, autocommit=True) as db:
        db.execute("update ops.exceptions set due_at = now() - interval '1 hour'")


def number(store: Store, finding: Finding) -> int:
    found: int = store.value("select exception_id from ops.exceptions where record_id = %(id)s", id=finding.record_id)
    return found


def test_a_team_is_told_once_then_when_it_is_overdue_then_when_it_is_over(
    store: Store, config: Config, admin_url: str, sent: list[Message], tell: Callable[[], dict[str, int]]
) -> None:
    find(store, config, NO_RATE)
    assert tell() == {"new": 1, "escalated": 0, "resolved": 0}
    find(store, config, NO_RATE)  # seen again: nothing new
    assert tell() == {"new": 0, "escalated": 0, "resolved": 0}
    late(admin_url)
    assert tell()["escalated"] == 1
    assert sum(tell().values()) == 0
    gone(store, NO_RATE)
    assert tell() == {"new": 0, "escalated": 0, "resolved": 1}
    assert sum(tell().values()) == 0
    assert [m.subject for m in sent] == [
        "[psflow] finance: 1 new", "[psflow] finance: 1 overdue", "[psflow] finance: 1 closed",
    ]  # fmt: skip
    assert len({m.key for m in sent}) == 3


def test_what_comes_back_is_new_again_and_what_is_waived_is_over(
    store: Store, config: Config, sent: list[Message], tell: Callable[[], dict[str, int]]
) -> None:
    find(store, config, HELD)
    tell()
    exceptions.close(store, number(store, HELD), "P-201", "waive", "the client agreed")
    assert tell()["resolved"] == 1
    assert "waived" in sent[-1].text
    exceptions.reopen(store, config, number(store, HELD), "P-201", "it is not")
    assert tell()["new"] == 1
    occurrences = store.rows("select event, occurrence from ops.alert order by told_at")
    assert [(r["event"], r["occurrence"]) for r in occurrences] == [("new", 1), ("resolved", 1), ("new", 2)]


def test_what_was_over_before_anybody_was_told_is_not_told(
    store: Store, config: Config, tell: Callable[[], dict[str, int]]
) -> None:
    find(store, config, NO_RATE)
    gone(store, NO_RATE)
    assert sum(tell().values()) == 0


def test_what_is_overdue_before_anybody_was_told_is_told_once(
    store: Store, config: Config, admin_url: str, tell: Callable[[], dict[str, int]]
) -> None:
    find(store, config, NO_RATE)
    late(admin_url)
    assert tell() == {"new": 0, "escalated": 1, "resolved": 0}
    assert sum(tell().values()) == 0


def test_each_team_gets_its_own_with_money_by_currency_and_links(
    store: Store, config: Config, sent: list[Message], tell: Callable[[], dict[str, int]]
) -> None:
    yen = Finding("rate", "time_entry", "79", "role", "Partner", "no JPY rate", None, Decimal(1000), "JPY")
    find(store, config, NO_RATE)
    find(store, config, yen, HELD)
    tell()
    finance, pmo = sent
    assert (finance.team, pmo.team) == ("finance", "pmo")
    assert "At risk: 1,000 JPY, 1,200.50 USD" in finance.text
    assert "At risk" not in pmo.text
    assert f"{BASE}/psflow/exceptions/{number(store, HELD)}" in pmo.text
    assert "Do: add the missing rate" in finance.text
    assert finance.text.index("time_entry 77") < finance.text.index("time_entry 79"), "the oldest first"


def test_a_long_list_is_cut_and_says_how_many_more(
    store: Store, config: Config, sent: list[Message], tell: Callable[[], dict[str, int]]
) -> None:
    find(store, config, *(Finding("rate", "time_entry", str(n), "role", "x", "no rate") for n in range(100, 150)))
    assert tell()["new"] == 50
    assert "50 new" in sent[0].subject
    assert sent[0].text.count("no rate") == 20
    assert f"and 30 more\n  {BASE}/psflow/exceptions?team=finance" in sent[0].text
    assert sum(tell().values()) == 0, "those that were not listed are told too"


def test_a_team_without_a_channel_is_told_all_that_is_open_once_it_has_one(
    store: Store, config: Config, tell: Callable[[], dict[str, int]], sent: list[Message]
) -> None:
    find(store, config, HELD, Finding("ownership", "customer", "C-1@kantata", "name", "x", "kantata says 'x'"))
    tell()
    assert [m.team for m in sent] == ["pmo"]
    more = config.model_copy(update={"channels": {"data engineering": Channel(conn_id="chat")}})
    assert alerts.tell(store, more, BASE, lambda _channel, message: sent.append(message))["new"] == 1


def test_a_name_can_be_no_header_no_html_and_no_mention(
    store: Store, config: Config, sent: list[Message], tell: Callable[[], dict[str, int]]
) -> None:
    hostile = (
        "Evil\r\nBcc: all@firm.example\r\n\r\n<script>alert(1)</script> \u202e<!channel> {{ 7*7 }} \x07" + "x" * 900
    )
    find(store, config, Finding("rate", "time_entry", "1\nSubject: hi", "role<b>", None, hostile))
    tell()
    (message,) = sent
    assert "\n" not in message.subject and "\r" not in message.subject
    assert "Bcc" not in message.subject
    assert not any(line.startswith(("Bcc:", "Subject:")) for line in message.text.splitlines())
    assert "<script>" not in message.html and "&lt;script&gt;" in message.html and "<b>" not in message.html
    assert "\u202e" not in message.text and "\x07" not in message.text and "{{ 7*7 }}" in message.text
    assert max(map(len, message.text.splitlines())) < 320
    chat = str(message.chat)
    assert "Evil" not in chat and "channel" not in chat and "Subject" not in chat


def test_of_a_person_the_record_is_told_and_no_value(
    store: Store, config: Config, sent: list[Message], admin_url: str
) -> None:
    everybody = config.model_copy(update={"channels": {"data engineering": Channel(conn_id="chat")}})
    said = "float says 'Ann Private', bamboohr owns name and says 'Ann Lee'; refused"
    find(store, config, Finding("ownership", "resource", "R-7@float", "name", "Ann Private", said))
    find(store, config, Finding("effect", "effect", "float:assign:1", "refused", None, "ann@firm.example is no user"))
    alerts.tell(store, everybody, BASE, lambda _channel, message: sent.append(message))
    (message,) = sent
    everything = message.subject + message.text + message.html + str(message.chat)
    assert "resource R-7@float, name" in message.text and "float:assign:1" in message.text
    assert "Ann" not in everything and "ann@firm.example" not in everything


def test_two_workers_at_once_tell_once(store: Store, config: Config, app_url: str) -> None:
    find(store, config, NO_RATE, HELD)
    sent: list[Message] = []
    both_looked = threading.Barrier(2)

    def work() -> None:
        with Store.open(app_url, REGION) as own:
            found = alerts.due(own, config)
            both_looked.wait(10)
            for alert in found:
                alerts._tell(own, config, alert, BASE, lambda _channel, message: sent.append(message))

    workers = [threading.Thread(target=work) for _ in range(2)]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join(20)
    assert sorted(m.team for m in sent) == ["finance", "pmo"]


def test_what_was_not_taken_is_told_again_under_the_same_key_and_keeps_no_other_team_waiting(
    store: Store, config: Config
) -> None:
    find(store, config, NO_RATE, HELD)
    tried: list[Message] = []

    def broken(channel: Channel, message: Message) -> None:
        tried.append(message)
        if channel.to:
            raise TransientError("the mail server is away")

    with pytest.raises(TransientError, match="finance was not told: the mail server is away"):
        alerts.tell(store, config, BASE, broken)
    assert [m.team for m in tried] == ["finance", "pmo"]
    assert alerts.tell(store, config, BASE, lambda _channel, message: tried.append(message))["new"] == 1
    assert [m.team for m in tried] == ["finance", "pmo", "finance"]
    assert tried[0].key == tried[2].key


def test_a_worker_that_dies_after_sending_tells_again_under_the_same_key(store: Store, config: Config) -> None:
    find(store, config, NO_RATE)
    sent: list[Message] = []

    def die(_channel: Channel, message: Message) -> None:
        sent.append(message)
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        alerts.tell(store, config, BASE, die)
    alerts.tell(store, config, BASE, lambda _channel, message: sent.append(message))
    assert len(sent) == 2 and sent[0] == sent[1]


def test_a_digest_says_where_a_team_stands_once_a_day(
    store: Store, config: Config, admin_url: str, sent: list[Message]
) -> None:
    find(store, config, NO_RATE, Finding("rate", "time_entry", "80", "role", "x", "no rate"))
    late(admin_url)
    exceptions.assign(store, number(store, NO_RATE), "P-101", "P-102")

    def digest(day: dt.date) -> int:
        return alerts.tell_digest(store, config, BASE, lambda _channel, message: sent.append(message), day)

    assert digest(DAY) == 1, "the PMO has nothing open"
    assert digest(DAY) == 0
    assert digest(DAY + dt.timedelta(days=1)) == 1
    assert len(sent) == 2
    text = sent[0].text
    assert sent[0].subject == "[psflow] finance on 2026-11-25: 2 open, 2 overdue, 0 to approve"
    assert "At risk: 1,200.50 USD" in text
    assert f"- 2 overdue\n  {BASE}/psflow/exceptions?team=finance&overdue=true" in text
    assert "- 1 assigned to nobody" in text
    assert "To approve" not in text


def test_a_digest_names_the_batches_that_wait_for_the_team(firm: Firm, config: Config) -> None:
    firm.start()
    firm.log(1, 90)
    firm.load_time()
    batch = str(firm.freeze())
    assert not any(standing.waiting for standing in alerts.digest(firm.store, config)), "its gate has not looked yet"
    shown = str(billing.check(firm.store, firm.config, PassGate(), batch)["content_hash"])
    (standing,) = alerts.digest(firm.store, config)
    assert (standing.team, standing.exceptions) == ("finance", 0)
    assert [(w["batch_id"], w["step"], w["totals"]) for w in standing.waiting] == [(batch, "submit", "270.75 USD")]
    firm.decide(batch, "submit", "fiona", shown)
    assert [w["step"] for s in alerts.digest(firm.store, config) for w in s.waiting] == ["approve"]
    firm.decide(batch, "approve", "frank", shown)
    assert alerts.digest(firm.store, config) == []


def test_a_channel_of_a_team_that_owns_nothing_or_an_address_that_is_none_is_refused(tmp_path: Path) -> None:
    text = policy.default_path().read_text(encoding="utf-8")
    for channel, says in {
        "finanse: {conn_id: m, to: [a@b.example]}": r"channels names \['finanse'\], who own no exceptions",
        'finance: {conn_id: m, to: ["a@b\\nBcc: c@d"]}': "channels.finance.to.0",
        "finance: {conn_id: m, password: x}": "channels.finance.password: there is no such key; the keys are conn_id",
    }.items():
        path = tmp_path / "psflow.yaml"
        path.write_text(text.replace("channels: {}", f"channels:\n  {channel}"), encoding="utf-8")
        with pytest.raises(ConfigurationError, match=says):
            policy.load(path)
