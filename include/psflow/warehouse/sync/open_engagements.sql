-- One engagement a won deal, with its first workflow row; a deal whose customer is not here yet waits for the next read.
with opened as (
    insert into core.engagement (opportunity_id, customer_id)
    select opportunity.opportunity_id, account.entity_id
    from core.opportunity
    join ops.crosswalk account on account.kind = 'customer' and account.system = %(system)s
        and account.instance = %(instance)s and account.external_id = opportunity.account_id
    where opportunity.is_won and opportunity.is_closed
      and not exists (select from core.engagement e where e.opportunity_id = opportunity.opportunity_id)
    order by opportunity.modified_at, opportunity.opportunity_id
    on conflict (opportunity_id) do nothing
    returning engagement_id, epoch
)
insert into ops.workflow (engagement_id, epoch, state)
select engagement_id, epoch, 'won' from opened
