-- A term whose facts are not complete bills nothing new and takes nothing back.
insert into billing_work (source, entry_key, item_id, version, component, project_code, contract_id, customer_id, worked_on,
                          category, terms_version, whole_amount, currency)
select 'item', entry_key, item_id, version, component, project_code, %(contract)s, %(customer)s, worked_on, category,
       terms_version, whole_amount, currency
from billing_live where starts_with(item_id, %(prefix)s)
