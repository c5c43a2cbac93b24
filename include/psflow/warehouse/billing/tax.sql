-- Which tax the work on each project takes, from day to day.
insert into billing_taxed
select project_code, payer_id, valid_from, valid_to, tax_id
from jsonb_to_recordset(%(found)s::jsonb)
    as found (project_code text, payer_id text, valid_from date, valid_to date, tax_id bigint)
