-- What is earned as invoiced: hours at the price that billing takes on their day, expenses reimbursed at cost, items of contracts.
-- Overtime and steps come with the invoice.
-- An expense in another currency counts at the exchange rate of its day, or at the one it was invoiced at. Hours that a
-- retainer, a milestone or another item pays for are not counted again; what is over a cap or written off is not earned.
-- id:     earned_entry.v2
-- grain:  time or expense entry, the version that passed its gate; item of a contract, project and day
-- unit:   hours; money in the contract's currency
-- owner:  finance
-- source: billing.passed_entry, billing.left_out, billing.batch_content, billing.counted_charge, core.rate, core.agreed_rate, core.fx_rate,
--         core.resource, core.contract, core.legal_entity, billing.live_charge, billing.opening_balance
create or replace view finance.earned_entry as
with billed as (  -- what is corrected keeps the price it was invoiced at
    select distinct on (entry_key) entry_key, project_code, worked_on, role, cost_currency, hourly_rate, day_rate, hours_per_day,
           fx_rate
    from billing.live_charge order by entry_key, version desc
),
worth as (  -- what is billed as it is, with its steps, days, overtime or markup
    select entry_key, max(version) as version, sum(entry_minutes) as minutes, sum(whole_amount) as amount
    from (select distinct on (entry_key, component) entry_key, component, version, entry_minutes, whole_amount
          from billing.live_charge order by entry_key, component, version desc, seq desc) part
    group by entry_key
),
day_rate as (  -- once a pair of currencies and day, not once an expense
    select wanted.*, dated.rate
    from (select distinct cost_currency, currency, worked_on from billing.passed_entry
          where is_to_bill and is_by_itself and cost_currency <> currency) wanted
    cross join lateral (
        select rate from core.fx_rate
        where (from_currency, to_currency) = (wanted.cost_currency, wanted.currency) and valid_on <= wanted.worked_on
        order by valid_on desc limit 1
    ) dated
),
lost as (
    select entry_key, sum(minutes) as minutes, sum(amount) as amount from billing.left_out
    where reason in ('over_cap', 'written_off') group by entry_key
),
item as (  -- billed, or in a batch that waits: until then nobody has said that it is due
    select item_id, version, project_code, worked_on, amount, currency from billing.counted_charge
    where source = 'item'
    union all
    select item_id, version, project_code, worked_on, amount, currency
    from billing.batch_content join billing.batch using (batch_id)
    where source = 'item' and state in ('frozen', 'checked', 'submitted', 'approved')
),
ours as (
    select legal_entity_id, levels, specificity,
           array_position(levels, 'standard') * 100 + array_position(specificity, 'role') as card_rank
    from (select distinct legal_entity_id from core.contract) signing
    left join core.legal_entity using (legal_entity_id)
    cross join lateral (select coalesce(rate_levels, '{contract_line,contract,customer,standard}') as levels,
                               coalesce(rate_specificity, '{person,role+region,role}') as specificity) ranked
),
offered as (
    select *, case specificity when 'person' then resource_id else role end as who,
           case specificity when 'role+region' then region else '' end as place
    from core.agreed_rate where not is_overtime
),
asked as (  -- every hour once a kind of price that was agreed on, so that each finds its own by equality
    select entry_key, worked_on, entry.role, entry.currency, kind.level, kind.specificity,
           array_position(levels, level) * 100 + array_position(ours.specificity, kind.specificity) as rank,
           case level when 'contract_line' then contract_line when 'contract' then contract_id
                      when 'customer' then customer_id else '*' end as scope_id,
           case kind.specificity when 'person' then resource_id else entry.role end as who,
           case kind.specificity when 'role+region' then coalesce(entry.region, person.region) else '' end as place,
           coalesce(entry.region, person.region) as region
    from (select distinct level, specificity from offered) kind
    cross join billing.passed_entry entry
    join ours using (legal_entity_id)
    left join core.resource person using (resource_id)
    where source = 'time' and is_to_bill and is_by_itself
),
agreed as (  -- the best, and how many are as good
    select distinct on (entry_key) entry_key, rank, hourly_rate, day_rate, hours_per_day,
           count(*) over (partition by entry_key, rank) as ties
    from asked
    join offered using (level, specificity, currency, scope_id, who, place)
    where rank is not null and worked_on >= valid_from and (valid_to is null or worked_on <= valid_to)
      and coalesce(offered.role = asked.role, offered.role is null)
      and coalesce(offered.region = asked.region, offered.region is null)
    order by entry_key, rank
),
priced as (
    select entry.*, coalesce(billed.hourly_rate, chosen.hourly_rate) as hourly_rate,
           case when billed.hourly_rate is null then chosen.day_rate else billed.day_rate end as day_rate,
           case when billed.hourly_rate is null then chosen.hours_per_day else billed.hours_per_day end as hours_per_day,
           coalesce(billed.fx_rate, case when entry.cost_currency = entry.currency then 1 else day_rate.rate end) as fx_rate,
           coalesce(entry.worked_on < coalesce(legal_entity.billing_starts_on, opening.as_of), false) as is_opening,
           worth.amount as billed_worth
    from billing.passed_entry entry
    left join core.legal_entity using (legal_entity_id)
    left join ours using (legal_entity_id)
    left join billing.opening_balance opening using (project_code)
    left join billed
        on billed.entry_key = entry.entry_key
        and (billed.project_code, billed.worked_on, billed.role, billed.cost_currency)
            is not distinct from (entry.project_code, entry.worked_on, entry.role, entry.cost_currency)
    left join worth on worth.entry_key = billed.entry_key
        and (worth.version = entry.version or worth.minutes = entry.minutes)
    left join core.rate on rate.rate_card_id = entry.rate_card_id and rate.role = entry.role
        and entry.worked_on >= rate.valid_from and (rate.valid_to is null or entry.worked_on <= rate.valid_to)
        and ours.card_rank is not null
    left join agreed on agreed.entry_key = entry.entry_key
    left join lateral (  -- two at one rank are no price
        select rate.hourly_rate, null::numeric as day_rate, null::numeric as hours_per_day
        where rate.hourly_rate is not null and coalesce(agreed.rank > ours.card_rank, true)
        union all
        select agreed.hourly_rate, agreed.day_rate, agreed.hours_per_day
        where agreed.ties = 1 and (rate.hourly_rate is null or agreed.rank < ours.card_rank)
    ) chosen on true
    left join day_rate on (day_rate.cost_currency, day_rate.currency, day_rate.worked_on)
                        = (entry.cost_currency, entry.currency, entry.worked_on)
    where entry.is_to_bill and entry.is_by_itself
)
select source as kind, coalesce(time_entry_id, expense_entry_id) as source_id, version, load_id, engagement_id,
       legal_entity_id, project_code, worked_on, role,
       round((coalesce(priced.minutes, 0) - coalesce(lost.minutes, 0)) / 60.0, 4) as hours, hourly_rate,
       billing.round_money(coalesce(billed_worth, billing.worth(priced.minutes, hourly_rate, day_rate, hours_per_day), cost * fx_rate), currency)
           - coalesce(lost.amount, 0) as amount, currency, is_opening,
       case when source = 'time' and hourly_rate is null then 'rate'
            when source = 'expense' and fx_rate is null then 'exchange rate ' || cost_currency || ' to ' || currency
            end as missing
from priced
left join lost using (entry_key)
union all
select 'item', item_id, max(version), null, engagement_id, legal_entity_id, project_code, worked_on, null, 0, null,
       sum(amount), item.currency, false, null
from item
join core.project using (project_code)
join core.contract using (engagement_id)
group by item_id, engagement_id, legal_entity_id, project_code, worked_on, item.currency;
comment on column finance.earned_entry.kind is 'time, expense or item.';
comment on column finance.earned_entry.source_id is 'The entry as the PSA knows it; the item by its contract, term and part.';
comment on column finance.earned_entry.version is 'Which version of the entry: the newest that passed its gate; of an item the version of its terms.';
comment on column finance.earned_entry.load_id is 'The load that brought this version; null for an item.';
comment on column finance.earned_entry.engagement_id is 'The won deal.';
comment on column finance.earned_entry.legal_entity_id is 'The company of ours that signs and invoices.';
comment on column finance.earned_entry.project_code is 'The project.';
comment on column finance.earned_entry.worked_on is 'Day of the work or the expense; the rate is the one of this day.';
comment on column finance.earned_entry.role is 'Role that is billed; null for what is no hour.';
comment on column finance.earned_entry.hours is 'Hours, from whole minutes; 0 for what is no hour.';
comment on column finance.earned_entry.hourly_rate is 'Price of one hour, in currency, agreed or of the rate card; null for what is no hour, or where there is none or two of one rank.';
comment on column finance.earned_entry.amount is 'Money in currency, rounded once to its minor unit; null without a price, never 0.';
comment on column finance.earned_entry.currency is 'Currency of the contract.';
comment on column finance.earned_entry.is_opening is 'Of a day before psflow billed: it was billed elsewhere.';
comment on column finance.earned_entry.missing is 'What an amount would need; null when it is there.';
