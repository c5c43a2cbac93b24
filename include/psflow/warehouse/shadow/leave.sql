-- What is another system's to bill is not ours: nothing of an ERP's contract; of a PSA's only what its bills and psflow
-- price alike, and what takes back an entry that neither bills any more.
delete from billing_difference line
using core.project, core.contract
where project.project_code = line.project_code and contract.engagement_id = project.engagement_id
  and line.kind <> 'unrated'
  and (contract_id = any(%(erp)s)
       or contract_id = any(%(psa)s) and not billing.passes(line.entry_key)
          and (exists (select from billing.shadow_line shadow where shadow.entry_key = line.entry_key)
               or exists (select from billing_work work where work.entry_key = line.entry_key)))
