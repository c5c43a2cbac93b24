"""The people before the screen: a window each, which remembers whom it asked and what its console complained about."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal
from urllib.parse import urlsplit

from psflow.sandbox.airflow import Airflow
from psflow.sandbox.browser.chromium import chromium

if TYPE_CHECKING:
    from playwright.sync_api import Browser, ConsoleMessage, Locator, Page, Request, StorageState

Scheme = Literal["light", "dark"]
SCHEMES: tuple[Scheme, ...] = ("light", "dark")
HEIGHT, WIDTH, NARROW = 800, 1280, 400  # px
TRACED = "E-1001"
_PATIENCE_MS = 20_000


class Unlike(Exception):
    """Something is not as it must be."""


class Window:
    """One person's page, signed in or not; `wrong` is what the console and failed requests said since the last look."""

    def __init__(self, page: Page, hosts: set[str]) -> None:
        self.page = page
        self.wrong: list[str] = []
        page.on("console", self._console)
        page.on("pageerror", lambda error: self.wrong.append(error.message))
        page.on("requestfailed", self._failed)
        page.on("request", lambda request: hosts.add(_host(request.url)))

    def _failed(self, request: Request) -> None:
        if request.failure != "net::ERR_ABORTED":  # the page was left before all of it was there
            self.wrong.append(f"{request.url}: {request.failure}")

    def _console(self, message: ConsoleMessage) -> None:
        if message.type == "error":
            self.wrong.append(message.text)


def _host(url: str) -> str:
    """Return whom an address asks; what is inside the page itself (`data:`, `blob:`) asks nobody."""
    return urlsplit(url).hostname or "127.0.0.1"


class Visit:
    """Everybody's windows on one Airflow; `hosts` is whom all of them asked. Screenshots go to `shots`."""

    def __init__(self, browser: Browser, airflow: Airflow, shots: Path, waiting: str) -> None:
        self.airflow = airflow
        self.waiting = waiting  # the billing run that nobody approves
        self.hosts: set[str] = set()
        self._browser = browser
        self._shots = shots
        self._signed_in: dict[str, StorageState] = {}

    @contextmanager
    def window(self, user: str | None = None, scheme: Scheme = "light", width: int = WIDTH) -> Iterator[Window]:
        """Open a window as a user of the demo, or as nobody."""
        options: dict[str, Any] = {"viewport": {"width": width, "height": HEIGHT}, "color_scheme": scheme}
        if user:
            options["storage_state"] = self._signed_in.get(user)
        context = self._browser.new_context(
            base_url=self.airflow.url, locale="en-GB", timezone_id="UTC", reduced_motion="reduce", **options
        )
        context.set_default_timeout(_PATIENCE_MS)
        try:
            window = Window(context.new_page(), self.hosts)
            if user and user not in self._signed_in:
                self._sign_in(window.page, user)
            yield window
        finally:
            context.close()

    def shoot(self, page: Page, name: str) -> None:
        """Save what the window shows as `name.png`."""
        page.screenshot(path=self._shots / f"{name}.png", animations="disabled")

    def _sign_in(self, page: Page, user: str) -> None:
        page.goto("/psflow/engagements")
        page.fill("input[name=username]", user)
        page.fill("input[name=password]", self.airflow.passwords[user])
        page.click("button[type=submit]")
        page.wait_for_url("**/psflow/engagements")
        self._signed_in[user] = page.context.storage_state()


@contextmanager
def visit(airflow: Airflow, shots: Path, waiting: str) -> Iterator[Visit]:
    """Start Chromium over a running Airflow. Screenshots of an earlier time are removed."""
    from playwright.sync_api import sync_playwright

    shutil.rmtree(shots, ignore_errors=True)
    shots.mkdir(parents=True)
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=chromium())
        try:
            yield Visit(browser, airflow, shots, waiting)
        finally:
            browser.close()


def must(holds: bool, wrong: str) -> None:
    """Raise Unlike with what is wrong unless it holds."""
    if not holds:
        raise Unlike(wrong)


def rows(page: Page, table: str) -> Locator:
    """Return the rows of a table of the pages, by its name for screen readers."""
    return page.get_by_role("region", name=table, exact=True).locator("tbody tr")


def blocking_exception(page: Page) -> str:
    """Open the first exception of the first blocked deal and return its address."""
    page.goto("/psflow/engagements?state=blocked")
    rows(page, "Engagements").first.locator("td").nth(4).get_by_role("link").click()
    rows(page, "Exceptions").first.locator("th a").click()
    page.wait_for_url("**/psflow/exceptions/*")
    return page.evaluate("location.pathname")  # type: ignore[no-any-return]
