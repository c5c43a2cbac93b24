-- One engagement a won deal, with its first workflow row; a deal whose customer is not here yet waits for the next read.
with opened as (
    insert into core.engagement (opportunity_id, customer_id)
    select opportunity.opportunity_id, account.customer_id
    from core.opportunity
    join (
        select external_id, entity_id as customer_id from ops.crosswalk
        where kind = 'customer' and system = %(system)s and instance = %(instance)s
        union  -- a second account that a person called the same customer
        select external_id, entity_id from ops.match_candidate
        where entity = 'customer' and system = %(system)s and instance = %(instance)s and decision = 'same'
    ) account on account.external_id = opportunity.account_id
    where opportunity.is_won and opportunity.is_closed
      and not exists (select from core.engagement e where e.opportunity_id = opportunity.opportunity_id)
    order by opportunity.modified_at, opportunity.opportunity_id
    on conflict (opportunity_id) do nothing
    returning engagement_id, epoch
)
insert into ops.workflow (engagement_id, epoch, state)
select engagement_id, epoch, 'won' from opened
