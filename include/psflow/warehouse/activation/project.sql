-- The project of an engagement, named after it: E-1001 is delivered as P-1001. It changes as long as the contract does.
insert into core.project (project_code, engagement_id, name, customer_id, currency, rate_card_id, starts_on, ends_on)
select 'P-' || substr(engagement_id, 3), engagement_id, opportunity.name, engagement.customer_id, contract.currency,
       contract.rate_card_id, opportunity.starts_on, opportunity.ends_on
from core.engagement
join core.opportunity using (opportunity_id)
join core.contract using (engagement_id)
where engagement_id = %(engagement_id)s
on conflict (engagement_id) do update
set name = excluded.name, currency = excluded.currency, rate_card_id = excluded.rate_card_id,
    starts_on = excluded.starts_on, ends_on = excluded.ends_on
where not exists (
    select from ops.effect where engagement_id = %(engagement_id)s and capability = 'create_project'
        and state <> 'refused' and effect_key = system || ':create_project:' || %(subject)s)
