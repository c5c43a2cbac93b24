"""Hostile deals, customers and reasons on the pages in headless Chromium: nothing opens, nothing asks another host."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from typing import Any
from urllib.parse import urlsplit

import pytest
import uvicorn
from fastapi import FastAPI
from fastapi.responses import HTMLResponse

from psflow.errors import ConfigurationError
from psflow.sandbox.browser.chromium import chromium
from psflow.store import exceptions
from psflow.store.exceptions import Finding
from tests.airflow.pages import Browse, browse, manager
from tests.flows.conftest import Firm

__all__ = ["browse", "manager"]
HOSTILE = (
    "<script>alert(1)</script><img src=//evil.example/p.png onerror=alert(1)>\"'><svg onload=alert(1)>"
    "<iframe src=https://evil.example></iframe><style>@import '//evil.example'</style>[x](javascript:alert(1))"
)
PAGES = ("engagements", "exceptions", "exceptions?rule=record", "exceptions/1", "gates", "trace?id=E-1001",
         f"trace?id={HOSTILE}", f"engagements?q={HOSTILE}")  # fmt: skip


@pytest.fixture
def address(browse: Browse) -> Iterator[str]:
    """Where the pages are, mounted as Airflow mounts them."""
    from psflow_airflow.pages.app import app

    outer = FastAPI()
    outer.mount("/psflow", app)
    outer.get("/naive", response_class=HTMLResponse)(lambda: f"<p>{HOSTILE}</p>")
    server = uvicorn.Server(uvicorn.Config(outer, port=0, log_level="error", lifespan="off"))
    thread = threading.Thread(target=server.run, daemon=True)
    thread.start()
    while not server.started:
        time.sleep(0.01)
    yield f"http://127.0.0.1:{server.servers[0].sockets[0].getsockname()[1]}"
    server.should_exit = True
    thread.join(10)


def test_a_hostile_name_opens_no_dialog_and_asks_no_other_host(
    address: str, manager: Any, firm: Firm, browse: Browse
) -> None:
    try:
        program = chromium()
    except ConfigurationError as error:
        pytest.skip(str(error))
    from playwright.sync_api import sync_playwright

    firm.start(1, Name=HOSTILE)
    found = [Finding("record", "opportunity", HOSTILE, HOSTILE[:50], HOSTILE, HOSTILE, "E-1001")]
    with firm.store.transaction("test"):
        firm.store.run("update core.customer set name = %(name)s", name=HOSTILE)
        exceptions.open_all(firm.store, firm.config, found)
    token = browse("petra").cookies["_token"]
    dialogs: list[str] = []
    hosts: set[str | None] = set()
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=program)
        page = browser.new_page()
        page.context.add_cookies([{"name": "_token", "value": token, "url": address}])
        page.on("dialog", lambda dialog: (dialogs.append(dialog.message), dialog.dismiss()))
        page.on("request", lambda request: hosts.add(urlsplit(request.url).hostname))
        seen = 0
        for path in PAGES:
            page.goto(f"{address}/psflow/{path}")
            page.wait_for_load_state("networkidle")
            seen += "<script>alert(1)</script>" in page.inner_text("body")
        assert (dialogs, hosts) == ([], {"127.0.0.1"})
        assert seen >= 4, "the pages show the name as it is written"
        page.goto(f"{address}/naive", wait_until="commit")  # the control: a page that does it is seen
        page.wait_for_timeout(2000)
        browser.close()
    assert dialogs and "evil.example" in hosts
