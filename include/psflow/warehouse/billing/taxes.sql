-- Keep the taxes that psflow.yaml names, where they are new.
insert into billing.tax (legal_entity_id, treatment, category, rate_pct, reason_code, reason, erp_tax, rounding)
select distinct %(entity)s, treatment, category, rate_pct, reason_code, reason, erp_tax, %(rounding)s
from jsonb_to_recordset(%(said)s::jsonb)
    as said (treatment text, category text, rate_pct numeric, reason_code text, reason text, erp_tax text)
where not exists (select from billing.tax
                  where (tax.legal_entity_id, tax.treatment, tax.category, tax.rate_pct, tax.reason_code, tax.reason,
                         tax.erp_tax, tax.rounding)
                        is not distinct from
                        (%(entity)s, said.treatment, said.category, said.rate_pct, said.reason_code, said.reason,
                         said.erp_tax, %(rounding)s))
on conflict do nothing
