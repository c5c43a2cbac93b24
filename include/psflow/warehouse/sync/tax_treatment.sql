-- A deal whose tax treatment was corrected taxes its contract anew from now on; what is billed keeps its own.
update core.contract set tax_treatment = said.ours
from core.engagement
join core.opportunity deal using (opportunity_id)
join jsonb_each_text(%(treatments)s::jsonb) as said (theirs, ours) on theirs = deal.tax_treatment
where engagement.engagement_id = contract.engagement_id and contract.tax_treatment is distinct from said.ours
