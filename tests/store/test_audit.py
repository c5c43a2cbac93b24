"""The audit is a sealed chain: whatever its owner does to it is found, and the app can only add to it."""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import psycopg
import pytest
import typer

from psflow.cli.proof import verify
from psflow.errors import ConfigurationError
from psflow.sandbox.postgres import Server
from psflow.store import audit, seal
from psflow.store.connection import Store
from psflow.store.seal import Head, Seal
from psflow.warehouse import migrate
from tests.database import AUDIT_KEY, REGION, as_role


@pytest.fixture
def sealed(app_url: str, tmp_path: Path) -> Iterator[tuple[Store, Seal]]:
    """A store whose heads are anchored in a file, with five rows in its audit."""
    key = Seal(AUDIT_KEY, tmp_path / "heads" / "anchor")
    with Store.open(app_url, REGION, key) as store:
        for number in range(1, 6):
            _write(store, f"effect {number}")
        yield store, key


def _write(store: Store, *subjects: str) -> None:
    with store.transaction("test"):
        for subject in subjects:
            audit.write(store, "effect.done", subject, "P-101", {"attempt": 1, "external_id": "42", "note": "Zoë"})


def _owner(url: str, *statements: Any) -> None:
    with psycopg.connect(url, autocommit=True) as connection:
        for statement in statements:
            connection.execute(statement)


def test_an_untouched_chain_holds_and_its_head_is_anchored(sealed: tuple[Store, Seal]) -> None:
    store, key = sealed
    found = audit.verify(store, key)
    assert (found.rows, found.broken) == (5, None)
    assert key.anchor and seal.anchored(key.anchor)[-1] == Head(5, found.head) == audit.head(store)


def test_one_transaction_seals_all_it_tells_and_one_that_fails_tells_nothing(store: Store) -> None:
    _write(store, "a", "b", "c")
    with pytest.raises(ZeroDivisionError), store.transaction("test"):
        audit.write(store, "effect.done", "never", "P-101")
        1 / 0  # noqa: B018
    with store.transaction("test"):
        audit.write(store, "effect.done", "d")
        with pytest.raises(ZeroDivisionError), store.savepoint():
            audit.write(store, "effect.done", "undone", "P-101")
            1 / 0  # noqa: B018
    told = store.rows("select audit_id, actor, subject from ops.audit order by audit_id")
    assert [(row["audit_id"], row["subject"]) for row in told] == [(1, "a"), (2, "b"), (3, "c"), (4, "d")]
    assert told[3]["actor"] == "psflow_app"


FOUND: dict[str, tuple[str, str]] = {
    "an actor": ("update ops.audit set actor = 'P-102' where audit_id = 3", "row 3: effect.done"),
    "a moment": ("update ops.audit set at = at + interval '1 microsecond' where audit_id = 3", "row 3: effect.done"),
    "an era": ("update ops.audit set at = (at::text || ' BC')::timestamptz where audit_id = 3", "row 3: effect.done"),
    "for ever": ("update ops.audit set at = 'infinity' where audit_id = 3", "row 3: effect.done"),
    "an action": ("update ops.audit set action = 'effect.dead' where audit_id = 3", "row 3: effect.dead"),
    "a subject": ("update ops.audit set subject = 'effect 9' where audit_id = 3", "row 3: effect.done of effect 9"),
    "a detail": ("update ops.audit set detail = jsonb_set(detail, '{attempt}', '2') where audit_id = 3", "row 3: "),
    "a digit": ("update ops.audit set detail = jsonb_set(detail, '{attempt}', '1.0') where audit_id = 3", "row 3: "),
    "a MAC": ("update ops.audit set mac = repeat('0', 64) where audit_id = 3", "row 3: effect.done"),
    "a MAC that is gone": ("update ops.audit set mac = null where audit_id = 3", "row 3: has no MAC"),
    "all MACs that are gone": ("update ops.audit set mac = null", "row 1: is not the one that was anchored"),
    "a row taken out": ("delete from ops.audit where audit_id = 3", "row 3: is missing; the next one is 4"),
    "rows closed up": (
        "with gone as (delete from ops.audit where audit_id = 3) "
        "update ops.audit set audit_id = audit_id - 1 where audit_id > 3", "row 3: effect.done",
    ),
    "rows in another order": (
        "update ops.audit set audit_id = case audit_id when 2 then 4 else 2 end where audit_id in (2, 4)", "row 2: ",
    ),
    "a row put in": ("insert into ops.audit select 0, at, actor, action, subject, detail, mac from ops.audit "
                     "where audit_id = 1", "row 1: comes after it with number 0"),
    "a row at the end": ("insert into ops.audit select 6, at, actor, action, subject, detail, mac from ops.audit "
                         "where audit_id = 5", "row 6: effect.done"),
    "the end cut off": ("delete from ops.audit where audit_id > 3", "row 4: is missing, and so is all up to"),
    "everything": ("delete from ops.audit", "row 1: is missing, and so is all up to"),
}  # fmt: skip


@pytest.mark.parametrize("name", FOUND)
def test_whatever_the_owner_changes_is_found_at_its_row(sealed: tuple[Store, Seal], admin_url: str, name: str) -> None:
    statement, says = FOUND[name]
    store, key = sealed
    store.close()
    _owner(admin_url, "alter table ops.audit drop constraint audit_pkey", statement)
    with Store.open(as_role(admin_url, "psflow_app"), REGION, key) as again:
        broken = audit.verify(again, key).broken
    assert broken is not None and broken.startswith(says)


def test_rows_in_another_order_with_the_numbers_of_each_other_are_found(
    sealed: tuple[Store, Seal], admin_url: str
) -> None:
    store, key = sealed
    _owner(
        admin_url,
        "update ops.audit a set at = b.at, subject = b.subject, mac = b.mac from ops.audit b "
        "where (a.audit_id, b.audit_id) in ((2, 3), (3, 2))",
    )
    assert (audit.verify(store, key).broken or "").startswith("row 2: effect.done of effect 3")


def test_an_end_that_was_cut_off_and_grown_anew_is_found_by_its_anchor_alone(
    sealed: tuple[Store, Seal], admin_url: str
) -> None:
    store, key = sealed
    _owner(admin_url, "delete from ops.audit where audit_id > 3")
    with Store.open(as_role(admin_url, "psflow_app"), REGION, Seal(AUDIT_KEY)) as other:
        _write(other, "another 4", "another 5", "another 6")
    assert audit.verify(store, Seal(AUDIT_KEY)).broken is None
    assert audit.verify(store, key).broken == "row 4: is not the one that was anchored"
    _owner(admin_url, "delete from ops.audit where audit_id > 3")
    _write(store, "a third 4", "a third 5")
    assert "cut off and grown anew" in (audit.verify(store, key).broken or "")


def test_the_owners_trigger_cannot_put_words_into_a_row(sealed: tuple[Store, Seal], admin_url: str) -> None:
    store, key = sealed
    _owner(
        admin_url,
        "create function ops.lie() returns trigger language plpgsql as "
        "$$ begin new.actor := 'P-102'; return new; end $$",
        "create trigger lie before insert on ops.audit for each row execute function ops.lie()",
    )
    _write(store, "effect 6")
    assert (audit.verify(store, key).broken or "").startswith("row 6: effect.done")


def test_another_key_fits_no_row(sealed: tuple[Store, Seal]) -> None:
    store, _ = sealed
    assert (audit.verify(store, Seal("another key of more than 32 characters")).broken or "").startswith("row 1: ")


@pytest.mark.parametrize(
    "statement",
    [
        "update ops.audit set actor = 'P-102'",
        "delete from ops.audit",
        "truncate ops.audit",
        "alter table ops.audit disable trigger guard",
        "drop table ops.audit",
    ],
)
def test_the_role_that_flows_run_as_only_adds(store: Store, statement: Any) -> None:
    _write(store, "effect 1")
    with pytest.raises(psycopg.errors.InsufficientPrivilege):
        store.run(statement)


def test_a_row_that_is_not_sealed_is_refused(store: Store) -> None:
    with pytest.raises(psycopg.errors.CheckViolation, match="write it with psflow.store.audit"):
        store.run("insert into ops.audit (audit_id, at, actor, action, subject, detail) "
                  "values (1, now(), 'me', 'effect.done', 'x', '{}')")  # fmt: skip


def test_without_a_key_nothing_is_kept_that_the_audit_must_tell_of(
    app_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("PSFLOW_AUDIT_KEY")
    with Store.open(app_url, REGION) as store:
        with pytest.raises(ConfigurationError, match="psflow_audit"), store.transaction("test"):
            store.run("insert into core.rate_card (rate_card_id, name, currency) values ('1', 'Gold', 'USD')")
            audit.write(store, "effect.done", "x")
        assert store.value("select count(*) from core.rate_card") == 0
        with store.transaction("test"):  # what need not be told goes on
            store.run("insert into core.rate_card (rate_card_id, name, currency) values ('1', 'Gold', 'USD')")


def test_a_short_key_is_refused_and_no_key_is_ever_shown() -> None:
    with pytest.raises(ConfigurationError, match="has 5 characters"):
        Seal("short")
    assert AUDIT_KEY not in repr(Seal(AUDIT_KEY))


def test_eight_writers_at_once_make_one_chain(app_url: str, tmp_path: Path) -> None:
    key = Seal(AUDIT_KEY, tmp_path / "anchor")

    def work(writer: int) -> None:
        with Store.open(app_url, REGION, key) as store:
            for number in range(10):
                _write(store, *(f"{writer}.{number}.{row}" for row in range(3)))

    with ThreadPoolExecutor(8) as pool:
        list(pool.map(work, range(8)))
    with Store.open(app_url, REGION, key) as store:
        assert audit.verify(store, key)[::2] == (240, None)
    assert len(seal.anchored(tmp_path / "anchor")) == 80


def test_an_edited_anchor_is_said_to_be_none(sealed: tuple[Store, Seal]) -> None:
    store, key = sealed
    assert key.anchor
    key.anchor.write_text("six 0000\n")
    with pytest.raises(ConfigurationError, match="was it edited"):
        audit.verify(store, key)


def test_rows_of_an_older_version_are_covered_from_the_first_sealed_row_on(
    postgres: Server, admin_url: str, store: Store
) -> None:
    """As the migration leaves them: numbered without a gap, without a MAC."""
    _owner(
        admin_url,
        "alter table ops.audit disable trigger guard",
        "insert into ops.audit (audit_id, at, actor, action, subject, detail) "
        "select n, now(), 'psflow_app', 'effect.done', 'old ' || n, '{}' from generate_series(1, 3) n",
        "alter table ops.audit enable trigger guard",
    )
    key = Seal(AUDIT_KEY)
    _write(store, "new")
    assert [r["action"] for r in store.rows("select action from ops.audit where audit_id > 3 order by 1")] == [
        "audit.begun", "effect.done",
    ]  # fmt: skip
    assert audit.verify(store, key)[::2] == (5, None)
    _owner(admin_url, "update ops.audit set subject = 'old 9' where audit_id = 2")
    assert "rows from before the chain" in (audit.verify(store, key).broken or "")
    assert migrate.pending(admin_url) == []


def test_the_command_says_ok_or_names_the_row_and_fails(
    store: Store, app_url: str, admin_url: str, capsys: pytest.CaptureFixture[str]
) -> None:
    _write(store, "a", "b")
    verify(app_url)
    assert capsys.readouterr().out.startswith("OK: 2 rows, head ")
    _owner(admin_url, "update ops.audit set actor = 'P-102' where audit_id = 2")
    with pytest.raises(typer.Exit):
        verify(app_url)
    assert "row 2: effect.done of b" in capsys.readouterr().err
