-- Prices of cards that a complete read of the PSA did not have; one without any card is not believed. What was billed
-- keeps its own price on the charge.
delete from core.rate
where rate_card_id <> all(%(cards)s::text[]) and cardinality(%(cards)s::text[]) > 0
