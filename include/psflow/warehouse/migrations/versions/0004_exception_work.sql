-- Exceptions that people work on: due, assigned, commented, waived; and the views behind the screens.

-- business time ------------------------------------------------------------------------------------------------------

create function ops.business_clock(at timestamptz) returns numeric language sql stable strict parallel safe
    return (select div(monday, 604800) * 5 + least(mod(monday, 604800), 432000) / 86400.0
            from (select extract(epoch from at) - 345600 as monday) since);
comment on function ops.business_clock is
    'Business days (Monday to Friday, UTC, 24 hours each) from 1970-01-05 to a moment; the difference of two is an age.';

create function ops.business_due(at timestamptz, days numeric) returns timestamptz language sql stable strict parallel safe
    return (select to_timestamp(345600 + div(clock, 5) * 604800 + mod(clock, 5) * 86400)
            from (select ops.business_clock(at) + days as clock) due);
comment on function ops.business_due is 'The moment that many business days after another one.';

-- what a person does about an exception ------------------------------------------------------------------------------

alter table ops.exceptions
    add column seen integer not null default 1 check (seen > 0),
    add column last_seen_at timestamptz not null default clock_timestamp(),
    add column due_at timestamptz,
    add column amount_at_risk numeric(18, 3),
    add column currency char(3),
    add column assignee text,
    add check ((amount_at_risk is null) = (currency is null)),
    drop constraint exceptions_state_check,
    add constraint exceptions_state_check check (state in ('open', 'waived', 'resolved'));
update ops.exceptions set last_seen_at = opened_at, due_at = ops.business_due(opened_at, 2);
alter table ops.exceptions alter column due_at set not null;
comment on column ops.exceptions.seen is 'How often the same finding came; each pass that finds it again counts.';
comment on column ops.exceptions.opened_at is 'When it was opened last; the events say when it was first.';
comment on column ops.exceptions.assignee is 'A person of psflow.yaml, not a login.';

create table ops.exception_event (
    event_id bigint generated always as identity primary key,
    exception_id bigint not null references ops.exceptions,
    at timestamptz not null default clock_timestamp(),
    who text not null,
    what text not null
        check (what in ('opened', 'reopened', 'assigned', 'commented', 'retried', 'waived', 'resolved')),
    comment text
);
create index exception_event_by_exception on ops.exception_event (exception_id);
comment on table ops.exception_event is 'Insert-only: what happened to an exception, and who did it; psflow is a pass that found or missed it.';

-- one row a rule, record and field from here on; what older rows of one key said becomes its events
create temp table exception_kept on commit drop as
    select exception_id, max(exception_id) over (partition by rule, entity, record_id, field) as kept,
           row_number() over (partition by rule, entity, record_id, field order by exception_id) as turn,
           count(*) over (partition by rule, entity, record_id, field) as turns
    from ops.exceptions;
insert into ops.exception_event (exception_id, at, who, what, comment)
select kept, opened_at, 'psflow', case turn when 1 then 'opened' else 'reopened' end, message
from ops.exceptions join exception_kept using (exception_id)
union all
select kept, resolved_at, 'psflow', 'resolved', null
from ops.exceptions join exception_kept using (exception_id) where resolved_at is not null
order by 2;
update ops.exceptions set seen = turns from exception_kept
where exception_kept.exception_id = exceptions.exception_id and kept = exceptions.exception_id;
delete from ops.exceptions using exception_kept
where exception_kept.exception_id = exceptions.exception_id and kept <> exceptions.exception_id;
drop index ops.exception_open_once;
create unique index exception_once on ops.exceptions (rule, entity, record_id, field);
create index exception_open on ops.exceptions (owner_team, due_at) where state = 'open';

create function ops.tell_exception() returns trigger language plpgsql as $$
declare
    who text := coalesce(nullif(current_setting('psflow.person', true), ''), 'psflow');
    says text := nullif(current_setting('psflow.comment', true), '');
begin
    if tg_op = 'INSERT' then
        insert into ops.exception_event (exception_id, who, what, comment)
        values (new.exception_id, who, 'opened', new.message);
    elsif new.state is distinct from old.state then
        insert into ops.exception_event (exception_id, who, what, comment)
        values (new.exception_id, who, case new.state when 'open' then 'reopened' else new.state end,
                coalesce(says, case new.state when 'open' then new.message end));
    end if;
    if tg_op = 'UPDATE' and new.assignee is distinct from old.assignee then
        insert into ops.exception_event (exception_id, who, what, comment)
        values (new.exception_id, who, 'assigned', concat_ws(': ', 'to ' || coalesce(new.assignee, 'nobody'), says));
    end if;
    return null;
end $$;
create trigger tell after insert or update of state, assignee on ops.exceptions
    for each row execute function ops.tell_exception();
comment on function ops.tell_exception is
    'Writes the event of every change of state or assignee, whoever makes it; psflow.person and psflow.comment name them.';

create function ops.exception_again(known ops.exceptions, value text, message text) returns text language sql stable
    return case when known.state = 'waived' and coalesce(known.value, known.message) = coalesce(value, message)
                then 'waived' else 'open' end;
comment on function ops.exception_again is
    'State of an exception whose finding came again: the value that was waived stays waived, anything else is open.';

-- rows that a gate refused -------------------------------------------------------------------------------------------

create table ops.gate_failure (
    gate_id bigint not null references ops.gate_run,
    record_id text not null,
    field text not null,
    value text,
    rule text not null,
    says text not null,
    primary key (gate_id, record_id, field, rule)
);
create index gate_failure_by_record on ops.gate_failure (record_id, field, rule);
comment on table ops.gate_failure is 'Insert-only: each value that broke a rule, by the verdict that said so.';

-- what is going on, for the screens ----------------------------------------------------------------------------------

create view ops.exception_age as
select exception.exception_id, exception.rule, exception.entity, exception.record_id, exception.field, exception.value,
       exception.message, exception.owner_team, exception.fix, exception.state, exception.opened_at,
       exception.last_seen_at, exception.seen, exception.due_at, exception.assignee,
       exception.amount_at_risk, exception.currency, exception.resolved_at,
       coalesce(exception.engagement_id, project.engagement_id,
                case exception.entity when 'engagement' then exception.record_id end) as engagement_id,
       round(ops.business_clock(now()) - ops.business_clock(exception.opened_at), 1) as age_business_days,
       exception.state = 'open' and exception.due_at < now() as is_overdue
from ops.exceptions exception
left join core.time_entry_head head on exception.entity = 'time_entry' and head.time_entry_id = exception.record_id
left join core.time_entry entry on (entry.time_entry_id, entry.version) = (head.time_entry_id, head.latest_version)
left join billing.invoice invoice on exception.entity = 'invoice' and invoice.invoice_key = exception.record_id
left join core.project project on project.project_code = coalesce(
    entry.project_code, invoice.project_code, case exception.entity when 'project' then exception.record_id end);
comment on view ops.exception_age is
    'Every exception with its age in business days (UTC), whether it is overdue, and the engagement it belongs to.';

create view ops.gate_failing as
select failure.*, gate.suite, gate.batch_id, gate.checked_at, exception.exception_id, exception.engagement_id,
       exists (select from ops.gate_failure before join ops.gate_run earlier using (gate_id)
               where earlier.suite = gate.suite and before.gate_id < failure.gate_id
                 and (before.record_id, before.field, before.rule) = (failure.record_id, failure.field, failure.rule)) as is_known,
       coalesce(exception.state <> 'open', false) as is_fixed, exception.state as exception_state
from ops.gate_failure failure
join ops.gate_run gate using (gate_id)
left join ops.exception_age exception
    on (exception.record_id, exception.field) = (failure.record_id, failure.field)
   and exception.rule in (split_part(gate.suite, '/', 1), split_part(gate.suite, '/', 2));
comment on view ops.gate_failing is
    'Refused values: known when an earlier verdict of the suite refused the same, fixed when their exception is not open.';

create view ops.workflow_state as
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
           batch.batch_id, batch.state as batch_state, flow.state as flow_state,
           case when flow.state <> 'active' then 'activation'
                when problem.is_unstaffed then 'staffing'
                when batch.batch_id is not null then 'billing'
                when invoiced.amount is not null and unbilled.project_code is null then 'invoiced'
                else 'delivery' end as stage,
           case when flow.state = 'compensated' then 'closed'
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
    left join core.project project on project.engagement_id = engagement.engagement_id
    left join problem on problem.engagement_id = engagement.engagement_id
    left join batch on batch.project_code = project.project_code
    left join invoiced on invoiced.project_code = project.project_code
    left join unbilled on unbilled.project_code = project.project_code
)
select engagement_id, epoch, name, customer_name, project_code, stage, state, since,
       coalesce(problem_team, case when batch_state in ('checked', 'submitted') then 'finance' end) as owner_team,
       case when state = 'closed' then 'what was created is closed; win the deal again to start over'
            when fix is not null then fix
            when flow_state = 'won' then 'none: activation starts with the next sync'
            when flow_state = 'activating' then 'none: ERP and PSA are being set up'
            when batch_state = 'checked' then 'submit the batch under Required Actions'
            when batch_state = 'submitted' then 'approve the batch under Required Actions (another person)'
            when batch_state is not null then 'none: the batch is on its way to the ERP'
            when stage = 'invoiced' then 'none: all approved hours are invoiced'
            else 'none: approved hours are billed with the next batch' end as next_step,
       amount, currency, invoiced_amount, invoiced_currency, open_exceptions, exception_id, batch_id
from staged;
comment on view ops.workflow_state is
    'One row an engagement: stage (activation, staffing, delivery, billing, invoiced), state (blocked: stands still; held: goes on, some of its records wait for a person; waiting; running; done; closed), since when, who acts, and what it is worth.';

create view ops.stream_lag as
select system, instance, stream, read_to, round(extract(epoch from now() - read_to)) as lag_s from ops.watermark;
comment on view ops.stream_lag is 'How far behind its source each stream is: seconds since the newest change that was read.';

create view ops.effect_queue as
select system, capability, state, count(*) as effects, min(registered_at) as oldest_at, min(next_try_at) as next_try_at,
       max(attempts) as most_attempts
from ops.effect where state <> 'done' group by system, capability, state;
comment on view ops.effect_queue is 'Writes to other systems that are not done: waiting, in flight, refused or given up.';

create or replace view finance.open_exception as
select exception_id, rule, entity, record_id, field, value, message, owner_team, fix, engagement_id, opened_at,
       seen, last_seen_at, due_at, age_business_days, is_overdue, amount_at_risk, currency, assignee
from ops.exception_age where state = 'open';

-- who may what -------------------------------------------------------------------------------------------------------

grant select on ops.exception_age, ops.gate_failing, ops.workflow_state, ops.stream_lag, ops.effect_queue to psflow_app;
grant select, insert on ops.exception_event, ops.gate_failure to psflow_app;
grant usage on all sequences in schema ops to psflow_app;
