-- Effects by what their vendor can promise: lifetimes, jobs, epochs.

alter table ops.effect
    add column first_sent_at timestamptz,
    add column job_id text,
    add column undoes text references ops.effect;
comment on column ops.effect.lease_until is
    'Until then the last attempt belongs to its worker and may still land, whatever state the effect is in by now.';
comment on column ops.effect.first_sent_at is 'First claim: an idempotency key is trusted for half its life from here.';
comment on column ops.effect.job_id is 'The vendor accepted it as this job; it is asked for by the id, never sent again.';
comment on column ops.effect.undoes is
    'The effect that this one closes again; it waits until the last attempt of that one is over.';

alter table ops.workflow add column lost_at timestamptz;
comment on column ops.workflow.lost_at is
    'When its deal was found lost: nothing more is created for it, and what was created is closed.';

-- A lost deal that was not started asks nobody; one that was started is being closed.
create or replace view ops.workflow_state as
with problem as (
    select distinct on (engagement_id) engagement_id, exception_id, owner_team, fix,
           count(*) over (partition by engagement_id) as open_exceptions,
           bool_or(rule = 'staffing') over (partition by engagement_id) as is_unstaffed,
           min(opened_at) over (partition by engagement_id) as blocked_since
    from ops.exception_age where state = 'open' and engagement_id is not null
    order by engagement_id, opened_at, exception_id
),
batch as (  -- the batch on its way that bills this project; a legal entity has one at a time
    select distinct on (line.project_code) line.project_code, batch.batch_id, batch.state, batch.frozen_at
    from billing.batch join billing.batch_content line using (batch_id)
    where batch.state in ('frozen', 'checked', 'submitted', 'approved', 'released')
    order by line.project_code, batch.frozen_at desc
),
invoiced as (
    select project_code, sum(amount) as amount, min(currency) as currency, max(batch_id) as batch_id
    from billing.invoice group by project_code
),
unbilled as (
    select entry.project_code
    from core.time_entry_head head
    join core.time_entry entry on (entry.time_entry_id, entry.version) = (head.time_entry_id, head.passed_version)
    where entry.is_approved and entry.is_billable and entry.minutes <> 0
      and not exists (select from billing.live_charge live where live.time_entry_id = entry.time_entry_id)
    group by entry.project_code
),
staged as (
    select engagement.engagement_id, flow.epoch, deal.name, customer.name as customer_name, project.project_code,
           deal.amount, deal.currency, invoiced.amount as invoiced_amount, invoiced.currency as invoiced_currency,
           problem.exception_id, problem.owner_team as problem_team, problem.fix,
           coalesce(problem.open_exceptions, 0) as open_exceptions,
           batch.batch_id, batch.state as batch_state, flow.state as flow_state, lost.is_lost,
           case when flow.state <> 'active' then 'activation'
                when problem.is_unstaffed then 'staffing'
                when batch.batch_id is not null then 'billing'
                when invoiced.amount is not null and unbilled.project_code is null then 'invoiced'
                else 'delivery' end as stage,
           case when flow.state = 'compensated'
                    or (lost.is_lost and flow.state in ('won', 'blocked') and problem.exception_id is null) then 'closed'
                when flow.state = 'blocked' or (flow.state <> 'active' and problem.exception_id is not null) then 'blocked'
                when problem.exception_id is not null then 'held'
                when flow.state = 'won' or batch.state in ('checked', 'submitted') then 'waiting'
                when flow.state = 'activating' or batch.batch_id is not null or invoiced.amount is null
                    or unbilled.project_code is not null then 'running'
                else 'done' end as state,
           greatest(flow.changed_at, batch.frozen_at, problem.blocked_since) as since
    from core.engagement engagement
    join core.opportunity deal using (opportunity_id)
    join core.customer customer on customer.customer_id = engagement.customer_id
    join lateral (select * from ops.workflow w where w.engagement_id = engagement.engagement_id
                  order by w.epoch desc limit 1) flow on true
    cross join lateral (select flow.lost_at is not null or not (deal.is_won and deal.is_closed) as is_lost) lost
    left join core.project project on project.engagement_id = engagement.engagement_id
    left join problem on problem.engagement_id = engagement.engagement_id
    left join batch on batch.project_code = project.project_code
    left join invoiced on invoiced.project_code = project.project_code
    left join unbilled on unbilled.project_code = project.project_code
)
select engagement_id, epoch, name, customer_name, project_code, stage, state, since,
       coalesce(problem_team, case when batch_state in ('checked', 'submitted') then 'finance' end) as owner_team,
       case when flow_state = 'compensated' then 'what was created is closed; win the deal again to start over'
            when state = 'closed' then 'the deal is lost; win it again to start over'
            when fix is not null then fix
            when is_lost and batch_state is null then 'none: the deal is lost, what was created is being closed'
            when flow_state = 'won' then 'none: activation starts with the next sync'
            when flow_state = 'activating' then 'none: ERP and PSA are being set up'
            when batch_state = 'checked' then 'submit the batch under Required Actions'
            when batch_state = 'submitted' then 'approve the batch under Required Actions (another person)'
            when batch_state is not null then 'none: the batch is on its way to the ERP'
            when stage = 'invoiced' then 'none: all approved hours are invoiced'
            else 'none: approved hours are billed with the next batch' end as next_step,
       amount, currency, invoiced_amount, invoiced_currency, open_exceptions, exception_id, batch_id
from staged;
