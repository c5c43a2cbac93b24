-- What each approved billable entry is worth: hours at the rate of their work date, expenses at cost.
-- id:     earned_entry.v1
-- grain:  time or expense entry, the version that passed its gate
-- unit:   hours; money in the contract's currency
-- owner:  finance
-- source: core.time_entry, core.time_entry_head, core.expense_entry, core.expense_entry_head, core.project,
--         core.contract, core.rate, core.legal_entity, billing.live_charge, billing.opening_balance
create or replace view finance.earned_entry as
with billed as (  -- corrected hours keep the price they were invoiced at
    select distinct on (time_entry_id) time_entry_id, project_code, worked_on, role, hourly_rate
    from billing.live_charge order by time_entry_id, version desc
),
entry as (
    select 'time' as kind, time_entry_id as source_id, version, load_id, project_code, worked_on, billed_role as role, minutes,
           null::numeric as cost, null as cost_currency
    from core.time_entry_head
    join core.time_entry using (time_entry_id)
    where version = passed_version and is_approved and is_billable and minutes <> 0
    union all
    select 'expense', expense_entry_id, version, load_id, project_code, spent_on, null, 0, amount, currency
    from core.expense_entry_head
    join core.expense_entry using (expense_entry_id)
    where version = passed_version and is_approved and is_billable and amount <> 0
),
priced as (
    select entry.*, contract.engagement_id, contract.legal_entity_id, contract.currency,
           coalesce(billed.hourly_rate, rate.hourly_rate) as hourly_rate,
           coalesce(entry.worked_on < coalesce(legal_entity.billing_starts_on, opening.as_of), false) as is_opening
    from entry
    join core.project using (project_code)
    join core.contract using (engagement_id)
    left join core.legal_entity using (legal_entity_id)
    left join billing.opening_balance opening using (project_code)
    left join billed on entry.kind = 'time' and (billed.time_entry_id, billed.project_code, billed.worked_on, billed.role)
                                              = (entry.source_id, entry.project_code, entry.worked_on, entry.role)
    left join core.rate on rate.rate_card_id = contract.rate_card_id and rate.role = entry.role
        and entry.worked_on >= rate.valid_from and (rate.valid_to is null or entry.worked_on <= rate.valid_to)
)
select kind, source_id, version, load_id, engagement_id, legal_entity_id, project_code, worked_on, role,
       round(minutes / 60.0, 4) as hours, hourly_rate,
       billing.round_money(case kind when 'time' then minutes * hourly_rate / 60
                                else case when cost_currency = currency then cost end end, currency) as amount,
       currency, is_opening,
       case when kind = 'time' and hourly_rate is null then 'rate'
            when kind = 'expense' and cost_currency is distinct from currency
                then 'expense in ' || currency || ': it says ' || coalesce(cost_currency, 'no currency') end as missing
from priced;
comment on column finance.earned_entry.kind is 'time or expense.';
comment on column finance.earned_entry.source_id is 'The entry as the PSA knows it.';
comment on column finance.earned_entry.version is 'Which version of the entry: the newest that passed its gate.';
comment on column finance.earned_entry.load_id is 'The load that brought this version.';
comment on column finance.earned_entry.engagement_id is 'The won deal.';
comment on column finance.earned_entry.legal_entity_id is 'The company of ours that signs and invoices.';
comment on column finance.earned_entry.project_code is 'The project.';
comment on column finance.earned_entry.worked_on is 'Day of the work or the expense; the rate is the one of this day.';
comment on column finance.earned_entry.role is 'Role that is billed; null for an expense.';
comment on column finance.earned_entry.hours is 'Hours, from whole minutes; 0 for an expense.';
comment on column finance.earned_entry.hourly_rate is 'Price of one hour, in currency; null for an expense, or when the rate card has none.';
comment on column finance.earned_entry.amount is 'Money in currency, rounded once to its minor unit; null without a price, never 0.';
comment on column finance.earned_entry.currency is 'Currency of the contract.';
comment on column finance.earned_entry.is_opening is 'Of a day before psflow billed: it was billed elsewhere.';
comment on column finance.earned_entry.missing is 'What an amount would need; null when it is there.';
