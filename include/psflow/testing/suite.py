"""
What every adapter promises, as tests that the tests of each system inherit.

Reading: pages end, the same watermark gives the same records, one bad record leaves the rest. Writing: without a good
ticket nothing is sent, a repeated write is one record, a write whose answer is lost is found again. And a secret is
never shown. Each test runs once for each capability or stream of the registration, so nothing is declared untested.
"""

from __future__ import annotations

import dataclasses
import datetime as dt
import itertools
import logging
import re
import time
import traceback
from abc import ABC, abstractmethod
from collections.abc import Iterator
from typing import Any, ClassVar

import pytest

from psflow.contracts import OpenEffect, VendorProfile
from psflow.errors import ConfigurationError, PsflowError, TransientError, UncertainOutcome
from psflow.systems.ports import Answer, BadRow, Copy, ReadsBack, Registration, System
from psflow.testing.effects import open_effect

_MANY = 10_000  # pages: more is a list that never ends
_SINCE = {
    "customer": "customers", "opportunity": "opportunities", "task": "tasks", "milestone": "milestones",
    "time_entry": "time_entries", "expense_entry": "expenses", "invoice": "bills",
}  # fmt: skip
_WHOLE = {"resource": "resources", "rate_card": "rate_cards", "employment": "employments"}
_WINDOW = {"absence": "absences", "assignment": "assignments"}
_MAKES = ("create_project", "request_resource", "assign_resource", "draft_invoice")  # what is worth closing again
_WIDE = (dt.date(2020, 1, 1), dt.date(2029, 12, 31))


class Conformance(ABC):
    """
    Inherit it, name the class `Test…`, give `registration`, `secret`, the fixture `system` and the five methods below.

    `secret` is what `locked_out` signs in with; `strict_streams` are those the vendor cannot answer misshapen.
    """

    registration: ClassVar[Registration]
    secret: ClassVar[str]
    strict_streams: ClassVar[frozenset[str]] = frozenset()

    @abstractmethod
    def system(self) -> System:
        """Return the adapter, as a fixture; its vendor holds some records of every stream."""

    @abstractmethod
    def payload(self, system: System, capability: str) -> dict[str, Any]:
        """Return what this capability may be sent with, after making at the vendor what it needs."""

    @abstractmethod
    def lose_answer(self, capability: str) -> None:
        """Let the vendor do the next write of this capability and not answer in time."""

    @abstractmethod
    def made(self) -> int:
        """Return how many records the vendor holds."""

    @abstractmethod
    def spoil(self, stream: str) -> str:
        """Make one record of a stream misshapen at the vendor and return its id."""

    @abstractmethod
    def locked_out(self) -> System:
        """Return an adapter whose `secret` the vendor refuses."""

    def pages(self, system: Any, stream: str, since: dt.datetime | None = None) -> Iterator[Any]:
        """Read a stream by the port of the system's role."""
        if stream in _SINCE:
            return iter(getattr(system, _SINCE[stream])(since))
        if stream in _WINDOW:
            return iter(getattr(system, _WINDOW[stream])(*_WIDE))
        if stream == "fx_rate":
            return iter(system.fx_rates(since and since.date()))
        return iter(system.people() if self.registration.role == "planner" else getattr(system, _WHOLE[stream])())

    # -- what it is

    def test_it_is_what_it_registered_as(self, system: System) -> None:
        assert system.key == self.registration.key
        assert system.instance
        assert isinstance(system.profile, VendorProfile)

    def test_a_capability_it_does_not_declare_is_a_configuration_error(self, system: System) -> None:
        effect = open_effect(system.key, "no_such_capability", {})
        with pytest.raises(ConfigurationError):
            system.perform(effect)

    # -- reads

    def test_pages_end_and_no_record_comes_twice(self, system: System, stream: str) -> None:
        told = [repr(row) for row in self._rows(system, stream)]  # one record may say several things, each once
        assert told, f"the vendor holds no {stream}: nothing is shown by reading it"
        assert len(told) == len(set(told))

    def test_the_same_watermark_gives_the_same_records(self, system: System, stream: str) -> None:
        whole = self._rows(system, stream)
        stamps = sorted(row.modified_at for row in whole if getattr(row, "modified_at", None))
        since = stamps[len(stamps) // 2] if stamps else None
        first = self._rows(system, stream, since)
        assert first == self._rows(system, stream, since)
        ids = {row[0] for row in first}
        newer = {row[0] for row in whole if since is None or (row.modified_at and row.modified_at > since)}
        assert newer <= ids, f"changed since {since} and not read: {newer - ids}"

    def test_one_bad_record_is_set_aside_and_leaves_the_rest(self, system: System, loose_stream: str) -> None:
        before = {row[0] for row in self._rows(system, loose_stream)}
        spoiled = self.spoil(loose_stream)
        pages = list(itertools.islice(self.pages(system, loose_stream), _MANY))
        bad: list[BadRow] = [each for page in pages for each in page.bad]
        assert {each.record_id for each in bad} == {spoiled}
        assert bad[0].problem and bad[0].payload
        rest = {row[0] for page in pages for row in page.rows}
        assert rest and rest < before
        assert all(re.match(rf"{re.escape(spoiled)}\b", lost) for lost in before - rest), "good records went with it"

    # -- writes

    def test_without_a_good_ticket_nothing_is_sent(self, system: System, capability: str) -> None:
        effect = self._effect(system, capability)
        before = self.made()
        with pytest.raises(UncertainOutcome):
            system.perform(dataclasses.replace(effect, system="another"))
        with pytest.raises(TransientError):  # too late for this claim: a later one sends it
            system.perform(dataclasses.replace(effect, send_before=time.monotonic() - 1))
        assert self.made() == before
        assert system.find(effect) is None

    def test_a_repeated_write_is_one_record(self, system: System, capability: str) -> None:
        effect = self._effect(system, capability)
        assert system.find(effect) is None
        made = system.perform(effect)
        before = self.made()
        assert self._found(system, effect) == made
        assert self.made() == before

    def test_a_write_whose_answer_is_lost_is_found_again(self, system: System, capability: str) -> None:
        effect = self._effect(system, capability)
        self.lose_answer(capability)
        with pytest.raises(UncertainOutcome):
            system.perform(effect)
        before = self.made()
        found = self._found(system, effect)
        assert found, "it landed, and the look-up does not see it"
        assert self._found(system, effect) == found
        assert self.made() == before

    def test_what_it_made_is_read_back_and_closed(self, system: System, capability: str) -> None:
        effect = self._effect(system, capability)
        if not isinstance(system, ReadsBack) or capability not in _MAKES:
            pytest.skip(f"{capability} makes nothing that could stand twice")
        made = system.perform(effect)
        self._found(system, effect)
        asked = (capability, effect.key, effect.payload)
        assert system.copies(*asked) == [Copy(str(made), "open")]
        if undo := system.undo(capability, effect.payload, str(made), dt.date.min):
            system.perform(open_effect(system.key, undo.capability, undo.payload, f"{effect.key}:undone"))
            assert [copy for copy in system.copies(*asked) if copy.state == "open"] == []

    # -- secrets

    def test_a_secret_is_never_shown(self, caplog: pytest.LogCaptureFixture) -> None:
        caplog.set_level(logging.DEBUG)
        system = self.locked_out()
        with pytest.raises(PsflowError) as caught:
            for stream in sorted(self.registration.streams):
                self._rows(system, stream)
        shown = "".join(traceback.format_exception(caught.value)) + caplog.text + repr(system)
        assert self.secret not in shown

    # -- helpers

    def _rows(self, system: System, stream: str, since: dt.datetime | None = None) -> list[Any]:
        pages = list(itertools.islice(self.pages(system, stream, since), _MANY))
        assert len(pages) < _MANY, f"{stream} does not end"
        return [row for page in pages for row in page.rows]

    def _effect(self, system: System, capability: str) -> OpenEffect:
        return open_effect(system.key, capability, self.payload(system, capability))

    def _found(self, system: System, effect: OpenEffect) -> Answer | None:
        """Look until the vendor's search must show it."""
        until = time.monotonic() + system.profile.search_lag_s
        while (found := system.find(effect)) is None and time.monotonic() < until:
            time.sleep(0.05)
        return found
