"""A sample of the hostile names through each sink; `make inject` takes many more."""

from __future__ import annotations

import pytest

from tests.proof import inject
from tests.security import hostile, sql_sinks
from tests.security.sinks import SINKS, Sink

STRINGS = list(hostile.strings(150, seed=7))
BY_NAME = {"ids": [sink.name for sink in SINKS]}


@pytest.mark.parametrize("sink", SINKS, **BY_NAME)
def test_what_others_write_stays_text(sink: Sink) -> None:
    assert [text for text in STRINGS if not sink.checked(text)] == []


@pytest.mark.parametrize("sink", SINKS, **BY_NAME)
def test_a_writer_without_care_is_caught(sink: Sink) -> None:
    assert inject.naive_is_caught(sink)


def test_names_and_notes_reach_postgres_as_they_are(admin_url: str) -> None:
    assert sql_sinks.by_parameter(admin_url, STRINGS) == 0
    assert sql_sinks.by_copy(admin_url, STRINGS) == 0
    assert sql_sinks.naive_sql(admin_url) and sql_sinks.naive_copy(admin_url)
