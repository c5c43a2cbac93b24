"""The canonical entities of the first line. Each field says what it means, in which unit; absent is None."""

from __future__ import annotations

import datetime as dt
from decimal import Decimal
from typing import Annotated, Literal

from pydantic import Field, model_validator

from psflow.contracts.values import Amount, Currency, Hours, Id, Instant, Period, Record

ContractType = Literal["time_and_materials", "milestone", "fixed_fee", "retainer", "subscription", "cost_plus"]
RateLevel = Literal["contract_line", "contract", "customer", "standard"]
RateSpecificity = Literal["person", "role+region", "role"]
TaxCategory = Literal["S", "Z", "AE", "E", "G", "K", "O"]
TaxRounding = Literal["half_up", "half_even"]


class TaxRule(Record):
    """
    How a company taxes its work under a treatment, for buyers in some countries. Owner: configuration.

    Categories are those of EN 16931: S standard rate, Z zero rate, AE reverse charge, E exempt, G export,
    K intra-community supply, O not subject to tax. All but S and Z print why there is no tax.
    """

    treatment: Id = Field(description="of the contract: what `tax_treatments` makes of the CRM's word")
    countries: tuple[Id, ...] | None = Field(
        default=None, min_length=1, description="of the buyer, as the CRM writes them; None: those no other names"
    )
    category: TaxCategory
    rate_pct: Annotated[Decimal, Field(ge=0, le=100, max_digits=7, decimal_places=4)] = Decimal()
    reason_code: Annotated[str, Field(pattern=r"^VATEX-[A-Z0-9-]+$")] | None = Field(
        default=None, description="why there is no tax, from the code list VATEX"
    )
    reason: Annotated[str, Field(min_length=1, max_length=200)] | None = Field(
        default=None, description="the same in words, for the document"
    )
    erp_tax: Id = Field(description="name of the tax in the ERP")
    valid_from: dt.date | None = Field(default=None, description="first day of work; None: always")
    valid_to: dt.date | None = Field(default=None, description="last day of work, included; None: no end")

    @property
    def takes_vat_id(self) -> bool:
        """Whether the document must name the buyer's VAT id."""
        return self.category in ("AE", "K")

    @model_validator(mode="after")
    def _is_whole(self) -> TaxRule:
        if (self.category == "S") != (self.rate_pct > 0):
            said = "a rate above 0" if self.category == "S" else "no rate"
            raise ValueError(f"category {self.category} takes {said}")
        if (self.category in ("S", "Z")) != (self.reason_code is None):
            said = "no reason_code" if self.category in ("S", "Z") else "a reason_code: why there is no tax"
            raise ValueError(f"category {self.category} takes {said}")
        if self.valid_from and self.valid_to and self.valid_from > self.valid_to:
            raise ValueError(f"valid_from {self.valid_from} is after valid_to {self.valid_to}")
        return self

    def overlaps(self, other: TaxRule) -> bool:
        """Whether both say something of one buyer's work on one day."""
        mine, theirs = (None,) if self.countries is None else self.countries, other.countries or (None,)
        lies_before = (
            one.valid_to is not None and two.valid_from is not None and one.valid_to < two.valid_from
            for one, two in ((self, other), (other, self))
        )
        return self.treatment == other.treatment and not {*mine}.isdisjoint(theirs) and not any(lies_before)


class LegalEntity(Record):
    """A company of ours that signs contracts and invoices. Owner: configuration."""

    legal_entity_id: Id
    name: str
    currency: Currency
    crm_values: tuple[str, ...] = Field(description="what the CRM writes for this entity")
    hr_values: tuple[str, ...] = Field(
        default=(), description="what HR writes as the employer of its people; where no company has any, nobody is lent"
    )
    erp_company: str = Field(description="company name in the ERP")
    billing_starts_on: dt.date | None = Field(
        default=None, description="work before this day was billed elsewhere; None: everything is ours"
    )
    rate_levels: tuple[RateLevel, ...] = Field(
        default=("contract_line", "contract", "customer", "standard"),
        description="where a price is looked for, the first that has one wins; the rate card is standard",
    )
    rate_specificity: tuple[RateSpecificity, ...] = Field(
        default=("person", "role+region", "role"), description="which price of one level wins; two alike hold the hour"
    )
    taxes: tuple[TaxRule, ...] = Field(
        default=(), description="how it taxes its work; work no rule fits is not invoiced"
    )
    tax_rounding: TaxRounding = Field(
        default="half_up", description="where half a cent of a tax goes, as in the ERP: away from zero, or to even"
    )

    @model_validator(mode="after")
    def _one_tax_a_day(self) -> LegalEntity:
        for at, rule in enumerate(self.taxes):
            for before, other in enumerate(self.taxes[:at]):
                if rule.overlaps(other):
                    raise ValueError(f"taxes {before + 1} and {at + 1} both fit; end one, or part their countries")
        return self


class Customer(Record):
    """The legal party we invoice. Owner: CRM."""

    customer_id: Id = Field(description="ours, minted at first sight; the crosswalk holds the others")
    name: str = Field(min_length=1)
    street: str | None = None
    city: str | None = None
    country: str | None = None
    vat_id: str | None = Field(default=None, description="for tax; without blanks, its country's letters first")


class OpportunityLine(Record):
    """One product line of a sale. Owner: CRM."""

    line_id: Id
    product_code: str | None = None
    quantity: Amount
    unit_price: Amount
    role: str | None = Field(default=None, description="role this line needs; None asks for nobody")
    skills: tuple[Id, ...] = ()
    hours_per_day: Amount | None = Field(default=None, description="of that role on each working day")
    starts_on: dt.date | None = Field(default=None, description="None: when the deal starts")
    ends_on: dt.date | None = Field(default=None, description="last day, included; None: when the deal ends")


class Opportunity(Record):
    """A sale in the CRM. Owner: CRM."""

    opportunity_id: Id
    account_id: Id = Field(description="the CRM account that buys")
    name: str = Field(min_length=1)
    is_won: bool
    is_closed: bool
    amount: Amount | None = None
    currency: Currency | None = None
    legal_entity_value: str | None = Field(default=None, description="as the CRM writes it; mapped by the gate")
    rate_card_name: str | None = None
    contract_type: str | None = None
    tax_treatment: str | None = Field(default=None, description="as the CRM writes it; mapped by the gate")
    delivery_region: str | None = Field(default=None, description="as the CRM writes it; mapped by the gate")
    starts_on: dt.date | None = None
    ends_on: dt.date | None = None
    modified_at: Instant
    lines: tuple[OpportunityLine, ...] = ()


class Engagement(Record):
    """One won deal through its whole life. Owner: psflow."""

    engagement_id: Id
    opportunity_id: Id
    customer_id: Id
    epoch: int = Field(ge=1, description="counts up when a deal is won again")
    state: Literal["won", "blocked", "active", "closed"]


class Contract(Record):
    """The terms we bill by. Owner: CRM at activation, then psflow."""

    contract_id: Id
    engagement_id: Id
    legal_entity_id: Id
    contract_type: ContractType = Field(description="how its hours are billed; its terms may bill more beside them")
    currency: Currency
    rate_card_id: Id
    tax_treatment: Id | None = Field(default=None, description="ours, from psflow.yaml; None before there was a gate")
    delivery_region: Id | None = None


class Project(Record):
    """Delivery of one engagement. Owner: PSA for delivery, ERP for the shell."""

    project_code: Id
    engagement_id: Id
    name: str = Field(min_length=1)
    customer_id: Id
    currency: Currency
    rate_card_id: Id
    starts_on: dt.date | None = None
    ends_on: dt.date | None = None


class Rate(Record):
    """Price of one hour of one role between two dates, both included."""

    role: Id
    valid_from: dt.date
    valid_to: dt.date | None = None
    hourly_rate: Amount


class RateCard(Record):
    """Effective-dated rates in one currency. Owner: PSA."""

    rate_card_id: Id
    name: str
    currency: Currency
    rates: tuple[Rate, ...] = Field(min_length=1)


class TimeEntry(Record):
    """Hours of one person on one project and day. Owner: PSA."""

    time_entry_id: Id
    project_ref: Id = Field(description="project id in the PSA")
    resource_ref: Id = Field(description="person id in the PSA")
    worked_on: dt.date
    minutes: int = Field(description="as the PSA counts; negative is a correction")
    role: str | None = None
    is_billable: bool
    is_approved: bool
    notes: str | None = None
    modified_at: Instant


class Charge(Record):
    """One billable amount from one source row at one rate; append-only, corrected by reversal. Owner: psflow."""

    charge_id: Id
    time_entry_id: Id
    version: int = Field(ge=1)
    kind: Literal["charge", "reversal"]
    project_code: Id
    worked_on: dt.date
    role: str
    hours: Hours
    hourly_rate: Amount
    amount: Amount
    currency: Currency


class BillingBatch(Record):
    """Charges approved and posted together. Owner: psflow."""

    batch_id: Id
    legal_entity_id: Id
    period: Period
    state: Literal["draft", "approved", "posted", "rejected", "stale"]
    content_hash: str = Field(description="SHA-256 over the frozen lines in key order, computed in SQL")


PurchaseOrder = Annotated[
    Id | None,
    Field(description="number of the customer's order", exclude_if=lambda number: number is None),
]


ErpTax = Annotated[
    Id | None,
    Field(
        description="name of its tax in the ERP; None: from before taxes were kept", exclude_if=lambda tax: tax is None
    ),
]


class InvoiceLine(Record):
    """Charges of one role at one rate, as one line of the ERP's invoice: in days where the rate is by the day."""

    line_key: Id
    role: str
    hours: Hours
    hourly_rate: Amount
    days: Hours | None = Field(
        default=None, exclude_if=lambda days: days is None, description="of a line by the day; None: by the hour"
    )
    day_rate: Amount | None = Field(default=None, exclude_if=lambda rate: rate is None)
    amount: Amount
    purchase_order: PurchaseOrder = None
    erp_tax: ErpTax = None


class InvoiceExpenses(Record):
    """Expenses of one category at cost, as one line of the ERP's invoice."""

    line_key: Id
    category: str
    amount: Amount
    purchase_order: PurchaseOrder = None
    erp_tax: ErpTax = None


class InvoiceTax(Record):
    """The tax of one category and rate, once on the sum of its lines (EN 16931 BR-CO-17)."""

    category: TaxCategory
    rate_pct: Amount
    reason_code: str | None = None
    reason: str | None = None
    taxable: Amount
    tax: Amount


class Invoice(Record):
    """The ERP's document for one project and batch, of hours and expenses. Owner: ERP once posted."""

    invoice_key: Id = Field(description="our reference, carried by the ERP's document")
    project_code: Id
    customer_ref: Id = Field(description="customer id in the ERP")
    legal_entity_id: Id
    currency: Currency
    invoiced_on: dt.date
    lines: tuple[InvoiceLine, ...]
    expenses: tuple[InvoiceExpenses, ...] = ()
    taxes: tuple[InvoiceTax, ...] = Field(default=(), exclude_if=lambda taxes: not taxes)
    buyer_vat_id: str | None = Field(default=None, exclude_if=lambda vat_id: vat_id is None)

    @model_validator(mode="after")
    def _is_something(self) -> Invoice:
        if not self.lines and not self.expenses:
            raise ValueError("lines: an invoice has at least one line of hours or of expenses")
        return self
