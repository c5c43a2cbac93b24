"""A sample of the hostile names through each sink; `make inject` takes many more."""

from __future__ import annotations

import pytest

from psflow import workbook
from psflow.contracts import text
from psflow_airflow.pages import render
from tests.proof import inject
from tests.security import hostile, sql_sinks
from tests.security.sinks import SINKS, Sink

STRINGS = list(hostile.strings(150, seed=7))
BY_NAME = {"ids": [sink.name for sink in SINKS]}


@pytest.mark.parametrize("sink", SINKS, **BY_NAME)
def test_what_others_write_stays_text(sink: Sink) -> None:
    assert [each for each in STRINGS if not sink.checked(each)] == []


@pytest.mark.parametrize("sink", SINKS, **BY_NAME)
def test_a_writer_without_care_is_caught(sink: Sink) -> None:
    assert inject.naive_is_caught(sink)


def test_a_batch_is_searched_as_well_as_each(monkeypatch: pytest.MonkeyPatch) -> None:
    batched = [sink for sink in SINKS if sink.all_hold]
    assert [sink.name for sink in batched] == ["page", "approval", "xlsx"]
    assert [sink.failing(STRINGS) for sink in batched] == [[], [], []]
    monkeypatch.setattr(text, "markdown", lambda written: written)
    monkeypatch.setattr(render, "_TEMPLATES", render._TEMPLATES.overlay(autoescape=False))
    monkeypatch.setattr(workbook, "_put", lambda page, row, column, value, _: page.write(row, column, value))
    for sink in batched:
        batches = [STRINGS[start : start + sink.width] for start in range(0, len(STRINGS), sink.width)]
        assert sink.all_hold and not all(map(sink.all_hold, batches)), sink.name


def test_names_and_notes_reach_postgres_as_they_are(admin_url: str) -> None:
    assert sql_sinks.by_parameter(admin_url, STRINGS) == 0
    assert sql_sinks.by_copy(admin_url, STRINGS) == 0
    assert sql_sinks.naive_sql(admin_url) and sql_sinks.naive_copy(admin_url)
