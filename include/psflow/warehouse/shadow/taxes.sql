-- shadow: invoices of a month whose charges another psflow.yaml would tax otherwise, or whose tax it would round otherwise
-- grain:  project and payer
-- unit:   the tax, in the contract's currency; null where none fits, and the invoice waits
-- reads:  shadow_tax, billing.tax
-- owner:  finance
with taxed as (
    select shadow_tax.*, category, rate_pct, reason_code, rounding, coalesce(payer_id, '') as payer,
           row(category, rate_pct, reason_code, reason, erp_tax)::text as said
    from shadow_tax left join billing.tax using (tax_id)
),
summed as (
    select is_before, project_code, payer, currency, category, rate_pct, reason_code, sum(amount) as net,
           billing.tax_on(sum(amount), rate_pct, currency, max(rounding)) as tax
    from taxed group by is_before, project_code, payer, currency, category, rate_pct, reason_code
),
document as (
    select is_before, project_code, payer, currency, case when bool_and(tax is not null) then sum(tax) end as tax,
           string_agg(coalesce(category || ' ' || trim_scale(rate_pct) || ' %%' || coalesce(' ' || reason_code, ''), 'no tax fits') || ' on '
                      || net, ', ' order by category, rate_pct, reason_code) as says
    from summed group by is_before, project_code, payer, currency
),
other as (
    select now.project_code, now.payer, count(*) as charges, min(now.worked_on) as worked_on,
           array_agg(now.entry_key order by now.entry_key collate "C") as entries
    from taxed was join taxed now using (charge_id)
    where was.is_before and not now.is_before and was.said <> now.said
    group by now.project_code, now.payer
),
rounded as (
    select distinct now.project_code, now.payer
    from summed was join summed now using (project_code, payer, currency, net)
    where was.is_before and not now.is_before and was.tax <> now.tax
      and (was.category, was.rate_pct, was.reason_code) is not distinct from (now.category, now.rate_pct, now.reason_code)
)
select 'tax' as cause, was.project_code, 'psflow.yaml' as system, 'as it is' as bill_id, null as entry_key, other.worked_on,
       'the invoice' || coalesce(' to ' || nullif(was.payer, ''), '') as line_id, was.tax as billed_amount, now.tax as should_amount,
       was.tax - now.tax as difference, was.currency::text, true as is_final, true as is_covered, engagement_id, contract_id,
       exists (select from billing.live_charge live where live.entry_key = any(other.entries)) as is_billed,
       jsonb_strip_nulls(jsonb_build_object('amount', was.tax::text, 'currency', was.currency, 'says', was.says)) as billed,
       jsonb_strip_nulls(jsonb_build_object('amount', now.tax::text, 'currency', was.currency, 'says', now.says
           || coalesce('; another for ' || array_to_string(entries[:5], ', ')
                       || case when charges > 5 then ' and ' || charges - 5 || ' more' else '' end, ''))) as should
from document was
join document now on (now.project_code, now.payer, now.currency) = (was.project_code, was.payer, was.currency)
join core.project on project.project_code = was.project_code
join core.contract using (engagement_id)
left join other on (other.project_code, other.payer) = (was.project_code, was.payer)
left join rounded on (rounded.project_code, rounded.payer) = (was.project_code, was.payer)
where was.is_before and not now.is_before and (other.charges > 0 or rounded.project_code is not null)
order by was.project_code, was.payer
