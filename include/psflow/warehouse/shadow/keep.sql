-- What was judged of a legal entity's bills. What no bill has counts once its month is billed, or when it stands in our ledger.
insert into billing.shadow_line (
    legal_entity_id, project_code, system, bill_id, line_id, entry_key, worked_on, billed_amount, should_amount, currency,
    cause, is_final, billed, should)
select %(entity)s, project_code, system, bill_id, line_id, entry_key, worked_on, billed_amount, should_amount, currency, cause,
       is_final, billed, should
from shadow_compared
where bill_id <> '-' or is_covered or exists (select from billing_live live where live.entry_key = shadow_compared.entry_key)
