-- What is signed and not yet earned in hours, uncapped time and materials at the amount of its deal.
-- id:     backlog.v1
-- grain:  active engagement
-- unit:   money in the contract's currency
-- owner:  finance
-- source: core.engagement, core.opportunity, core.contract, core.project, core.customer, ops.workflow,
--         finance.earned_entry, billing.opening_balance
create or replace view finance.backlog as
with earned as (
    select project_code,
           coalesce(sum(entry.amount) filter (where not entry.is_opening), 0)
               + coalesce(max(balance.amount), sum(entry.amount) filter (where entry.is_opening), 0) as amount,
           coalesce(bool_or(entry.missing is not null), false) as is_incomplete
    from (select * from finance.earned_entry where kind <> 'expense') entry
    full join billing.opening_balance balance using (project_code)
    group by project_code
),
active as (
    select distinct on (engagement_id) engagement_id, state from ops.workflow order by engagement_id, epoch desc
),
signed as (
    select contract.legal_entity_id, engagement.engagement_id, project.project_code, customer.name as customer_name,
           contract.currency, deal.amount as contract_amount, coalesce(earned.amount, 0) as earned,
           case when deal.amount is null then 'contract amount'
                when deal.currency is distinct from contract.currency
                    then 'contract amount in ' || contract.currency || ': the deal says ' || coalesce(deal.currency, 'no currency')
                when earned.is_incomplete then 'rate' end as missing
    from active
    join core.engagement using (engagement_id)
    join core.opportunity deal using (opportunity_id)
    join core.customer on customer.customer_id = engagement.customer_id
    join core.contract on contract.engagement_id = engagement.engagement_id
    join core.project on project.engagement_id = engagement.engagement_id
    left join earned on earned.project_code = project.project_code
    where active.state = 'active'
)
select legal_entity_id, engagement_id, project_code, customer_name, currency, contract_amount, earned,
       case when missing is null then billing.round_money(contract_amount, currency) - earned end as backlog, missing
from signed;
comment on column finance.backlog.legal_entity_id is 'The company of ours that signed.';
comment on column finance.backlog.engagement_id is 'The won deal.';
comment on column finance.backlog.project_code is 'The project.';
comment on column finance.backlog.customer_name is 'The legal party we invoice.';
comment on column finance.backlog.currency is 'Currency of the contract.';
comment on column finance.backlog.contract_amount is 'Money as signed, in the currency of the deal.';
comment on column finance.backlog.earned is 'Money in currency: earned in hours so far, expenses not counted; before psflow billed it is the opening balance, if there is one.';
comment on column finance.backlog.backlog is 'Money in currency: contract amount less earned; below zero when more was worked than signed; null when anything is missing.';
comment on column finance.backlog.missing is 'What the number would need; null when it is there.';
