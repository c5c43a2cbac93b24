-- Charges with everything their amount hangs on: rate row, increment, policy, exchange rate, term, decision, payload.
select charge.*, line.invoice_key,
       project.name as project, project.customer_id, contract.contract_id, contract.contract_type, contract.legal_entity_id,
       contract.tax_treatment, person.name as resource, rate.level, rate.scope, rate.specificity, rate.valid_from,
       rate.valid_to, rate.hourly_rate as rate_now, rate.day_rate as day_rate_now,
       overtime.per as overtime_per, overtime.after_minutes, overtime.multiplier, step.minutes as step_minutes,
       step.rounding, step.per, step.minimum_minutes, policy.unit_limit, policy.unit_price, policy.valid_from as policy_from, fx.valid_on as fx_on,
       fx.source as fx_source, term.kind as term_kind, term.agreed_on, term.reason as term_reason,
       accepted.accepted_by, accepted.accepted_on, accepted.evidence, decided.kind as decided_kind,
       decided.reason as decided_reason, decided.asked_by, decided.approved_by, decided.decided_on,
       reversed.charge_id as reversed_by, void.invoice_key is not null as is_void, entry.load_id, entry.modified_at,
       payload.system, payload.kind as payload_kind, payload.record_id, payload.payload_hash, payload.received_at,
       workspace.external_id as project_ref, payer.name as payer, share.share_pct, share.takes_residue,
       split.valid_from as split_from, split.agreed_on as split_agreed_on, split.reason as split_reason,
       billing.shares_text(split.split_id) as shares, tax.treatment as tax_said, tax.category as tax_category,
       trim_scale(tax.rate_pct) as tax_pct, coalesce(tax.reason, tax.reason_code) as tax_reason
from billing.charge
join billing.invoice_line line using (line_key)
join core.project using (project_code)
left join core.contract using (engagement_id)
left join billing.void_invoice void on void.invoice_key = line.invoice_key
left join lateral (
    select load_id, modified_at, resource_id from core.time_entry entry
    where (entry.time_entry_id, entry.version) = (charge.time_entry_id, charge.version)
    union all
    select load_id, modified_at, resource_id from core.expense_entry entry
    where (entry.expense_entry_id, entry.version) = (charge.expense_entry_id, charge.version)
) entry on true
left join core.resource person on person.resource_id = coalesce(charge.resource_id, entry.resource_id)
left join lateral (
    select 'standard' as level, 'rate card ' || card.name as scope, 'role' as specificity, valid_from, valid_to, hourly_rate,
           null::numeric as day_rate
    from core.rate join core.rate_card card using (rate_card_id)
    where concat_ws('|', rate.rate_card_id, rate.role, rate.valid_from) = charge.rate_id
    union all
    select level, case scope_id when '*' then 'all' else scope_id end, specificity, valid_from, valid_to, hourly_rate,
           day_rate
    from core.agreed_rate where agreed_rate.rate_id = charge.rate_id
) rate on true
left join core.overtime on overtime.overtime_id = charge.overtime_id and charge.component = 'overtime'
left join lateral (
    select * from core.increment
    where increment.customer_id = project.customer_id and valid_from <= charge.worked_on and charge.time_entry_id is not null
    order by valid_from desc limit 1
) step on true
left join lateral (
    select * from core.expense_policy
    where (expense_policy.contract_id, expense_policy.category) = (contract.contract_id, charge.category)
      and valid_from <= charge.worked_on and charge.expense_entry_id is not null
    order by valid_from desc limit 1
) policy on true
left join lateral (
    select * from core.fx_rate
    where (from_currency, to_currency) = (charge.cost_currency, charge.currency) and valid_on <= charge.worked_on
    order by valid_on desc limit 1
) fx on true
left join core.contract_term term
    on starts_with(charge.item_id, 'item:' || term.contract_id || ':' || term.term_id || ':') and term.version = charge.terms_version
left join core.acceptance accepted
    on accepted.contract_id = term.contract_id
    and charge.item_id = 'item:' || term.contract_id || ':' || term.term_id || ':' || accepted.milestone_id
left join core.split using (split_id)
left join core.customer payer on payer.customer_id = coalesce(charge.payer_id, project.customer_id)
left join core.split_share share on (share.split_id, share.payer_id) = (charge.split_id, payer.customer_id)
left join billing.adjustment decided using (adjustment_id)
left join billing.tax on tax.tax_id = charge.tax_id
left join billing.counted_charge reversed on reversed.reverses = charge.charge_id
left join core.time_load load using (load_id)
left join lateral (
    select * from raw.record
    where record_id = coalesce(charge.time_entry_id, charge.expense_entry_id) and kind in ('time_entry', 'expense_entry')
      and kind = charge.source || '_entry'
    order by abs(extract(epoch from received_at - load.loaded_at)) limit 1
) payload on true
left join ops.crosswalk workspace
    on (workspace.kind, workspace.entity_id, workspace.system) = ('project', charge.project_code, payload.system)
where (%(lines)s::text[] is null or charge.line_key = any(%(lines)s)) and (%(entry)s::text is null or charge.entry_key = %(entry)s)
  and (%(charge)s::text is null or charge.charge_id = %(charge)s)
order by charge.worked_on, charge.entry_key collate "C", charge.version, charge.seq, charge.kind
