-- Won deals whose account nobody showed us, and deals that were started and are no longer won.
select opportunity_id as record_id, 'account_id' as field, account_id as value, null as engagement_id,
       'won, but its account ' || account_id || ' is not visible to psflow; share the account with its user in the CRM'
           as message
from core.opportunity deal
where is_won and is_closed and not exists (select from core.engagement e where e.opportunity_id = deal.opportunity_id)
union all
select opportunity_id, 'is_won', 'false', engagement_id, engagement_id || ' is ' || state
       || ', but its deal is no longer won: its projects are being closed; won again, it gets new ones'
from core.engagement
join core.opportunity using (opportunity_id)
join ops.workflow using (engagement_id, epoch)
where not (is_won and is_closed) and state in ('activating', 'active')
