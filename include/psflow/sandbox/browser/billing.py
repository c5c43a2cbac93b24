"""What finance sees before it decides and after: the plan that waits, what is not billed, why a line is what it is."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from psflow.sandbox import meridian
from psflow.sandbox.browser.window import Visit, must, rows

if TYPE_CHECKING:
    from playwright.sync_api import Page

_SAYS = {  # deal of the story -> what its October invoice must say of itself
    meridian.CAPPED: r"cap .+ on the contract: of [^;]+; .+ stayed out",
    meridian.MILESTONES: r"Milestone: Go-live",
    meridian.RETAINER: r"Retainer 2026-10",
    meridian.ORDERED: meridian.ORDER,
    meridian.SHARED: r"pays 60 %, it takes the residue.+; the payers are .+ 60 % and the residue, .+ 40 %, agreed on",
}


def waiting_plan(seen: Visit) -> str:
    """Fiona reads in the plan what waits for Frank: the money of the firm's own plan."""
    wanted = meridian.expected().billed[meridian.WAITING]
    with seen.window("fiona") as window:
        page = window.page
        page.goto("/psflow/plan")
        row = rows(page, "Billing batches").filter(has_text=meridian.WAITING.legal_entity_id).first
        row.locator("th a").click()
        page.get_by_role("heading", level=1).wait_for()
        for currency, amount in wanted.amount.items():
            must(
                f"{amount:,.2f} {currency}" in page.locator("main").inner_text(), f"the plan lacks {amount} {currency}"
            )
        must("fiona" in rows(page, "Decisions").first.inner_text(), "the plan does not say who submitted it")
        seen.shoot(page, "plan-waiting")
    return ", ".join(f"{amount:,.2f} {currency}" for currency, amount in wanted.amount.items())


def unbilled(seen: Visit) -> str:
    """Each number on Unbilled is the number of its rows, and what is over the cap is among them."""
    with seen.window("paula") as window:
        page = window.page
        page.goto("/psflow/unbilled")
        links = page.locator(".matrix td a")
        counts, reasons = links.all_inner_texts(), page.locator(".matrix th[scope=row]").all_inner_texts()
        seen.shoot(page, "unbilled")
        for at, count in enumerate(counts):
            with page.expect_navigation():
                links.nth(at).click()
            found = page.locator("p.count").inner_text()
            must(found.startswith(f"{count} "), f"{count} leads to: {found}")
        must("over cap" in reasons, f"nothing is over the cap, only {', '.join(reasons)}")
    return f"{len(counts)} numbers; reasons: {', '.join(reasons)}"


def closed(seen: Visit) -> str:
    """Petra reads who closed September, and that each of its ten controls holds."""
    month = meridian.CLOSED
    with seen.window("petra") as window:
        page = window.page
        page.goto("/psflow/close")
        with page.expect_navigation():
            page.locator(f"a[href$='/close/{month.legal_entity_id}/{month.period}']").click()
        shown, controls = page.locator("main").inner_text(), rows(page, "Controls")
        who = "prepared by fiona (P-101)" in shown and "signed by frank (P-102)" in shown
        must(who, f"{page.url} does not say who prepared and signed it")
        tied = controls.filter(has_text="tied").count()
        must(controls.count() == tied == 10, f"{tied} of {controls.count()} controls hold, not ten")
        seen.shoot(page, "close-signed")
    return f"{month.legal_entity_id} {month.period}, {tied} controls"


def explained(seen: Visit) -> str:
    """Each invoice under a cap, a milestone, a retainer, a purchase order or a split says what it is made of."""
    names = {deal.number: deal.name for deal in meridian.current().deals}
    with seen.window("frank") as window:
        page = window.page
        for deal, wanted in _SAYS.items():
            _invoice(page, meridian.current().deal(deal).legal_entity_id or "", names[deal])
            text = page.locator("main").inner_text()
            must(bool(re.search(wanted, text)), f"{names[deal]} does not say {wanted!r}: {text[:300]}")
            seen.shoot(page, f"explain-{names[deal].lower().replace(' ', '-')}")
    return ", ".join(names[deal] for deal in _SAYS)


def _invoice(page: Page, entity: str, name: str) -> None:
    """Open the explanation of a project's October invoice, from its plan."""
    page.goto(f"/psflow/plan/{entity}.2026-10.1")
    row = page.get_by_role("region", name="Invoices", exact=True).locator("tbody tr").filter(has_text=name)
    with page.expect_navigation():
        row.locator("a.id").first.click()
    page.locator("details > summary").first.wait_for()
    page.evaluate("document.querySelectorAll('details').forEach(each => each.open = true)")
