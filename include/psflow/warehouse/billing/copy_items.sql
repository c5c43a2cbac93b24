-- Items of contracts stand beside hours and expenses; a term that is held has a reason and no amount.
copy billing_work (source, entry_key, item_id, version, component, project_code, contract_id, customer_id, worked_on, category,
                   terms_version, whole_amount, currency, reason)
from stdin
