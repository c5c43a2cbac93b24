"""Which company of ours is meant follows from contract or batch, and its documents are read from its own books."""

from __future__ import annotations

import pytest

from psflow.errors import ConfigurationError, NeedsReview
from psflow.flows import legal_entity, reconciliation
from tests.flows.conftest import Firm


def test_a_contract_says_which_company_signed(firm: Firm) -> None:
    engagement = firm.start(Legal_Entity__c="Meridian EU")
    assert legal_entity.of_engagement(firm.store, firm.config, engagement).erp_company == "Meridian Europe GmbH"


def test_a_batch_says_which_company_invoices(firm: Firm) -> None:
    firm.start()
    firm.log(1)
    firm.load_time()
    assert legal_entity.of_batch(firm.store, firm.config, str(firm.freeze())).legal_entity_id == "MER-US"


def test_what_has_no_company_yet_needs_a_person(firm: Firm) -> None:
    firm.win()
    (run,) = firm.sync()["start"]
    with pytest.raises(NeedsReview, match=f"{run['engagement_id']} has no contract; its gates must pass first"):
        legal_entity.of_engagement(firm.store, firm.config, run["engagement_id"])
    with pytest.raises(NeedsReview, match=r"batch 'MER-US\.2026-10\.9' is unknown"):
        legal_entity.of_batch(firm.store, firm.config, "MER-US.2026-10.9")


def test_a_company_that_was_taken_out_of_the_policy_is_named(firm: Firm) -> None:
    engagement = firm.start(Legal_Entity__c="Meridian EU")
    left = tuple(entity for entity in firm.config.legal_entities if entity.legal_entity_id != "MER-EU")
    without = firm.config.model_copy(update={"legal_entities": left})
    with pytest.raises(ConfigurationError, match=r"'MER-EU' is not in psflow\.yaml"):
        legal_entity.of_engagement(firm.store, without, engagement)


def test_only_the_documents_of_one_company_are_read_when_it_is_named(firm: Firm) -> None:
    firm.start()
    firm.log(1)
    firm.load_time()
    firm.bill()
    assert reconciliation.read_erp(firm.store, firm.erp, "MER-EU") == {"documents": 0}
    assert reconciliation.read_erp(firm.store, firm.erp, "MER-US") == {"documents": 1}
    assert reconciliation.read_erp(firm.store, firm.erp) == {"documents": 1}
