-- Hours and expenses to charges to invoice lines to the ERP's documents and ledger, record by record; a missing value is a break.
-- id:    invoice_tie_out.v1
-- grain: step 1 time entry or expense (billed, or lost), 2 and 3 invoice line, 4 and 5 invoice, 6 our reference in the ERP
-- unit:  h (hours, from whole minutes), the currency an expense was paid in, or the invoice's currency
-- source: core.time_entry, core.expense_entry, core.project, billing.*, core.erp_*, ops.crosswalk, ops.gate_run,
--        ops.exceptions
-- owner: finance
with billed as (  -- what counts as billed of an entry, and its live charge (the newest, should there be two)
    select entry_key, charge.source, coalesce(charge.time_entry_id, charge.expense_entry_id) as record_id,
           coalesce(sum(charge.minutes) / 60.0,
                    sum(charge.cost * coalesce(abs(charge.amount / nullif(charge.whole_amount, 0)), 1))) as quantity,
           max(charge.line_key) as line_key,
           max(live.version) as version
    from billing.counted_charge charge
    left join billing.live_charge live using (charge_id, entry_key)
    where charge.source <> 'item'
    group by entry_key, charge.source, record_id
),
told as (  -- why something is not billed yet
    select entity, record_id from ops.exceptions where state <> 'resolved' and rule in ('rate', 'tax', 'billing')
),
waits as (  -- the part of an entry that is over a cap, without a purchase order, written off, open or waiting after a credit
    select entry_key, sum(quantity) as quantity, max(new_version) as new_version
    from (
        select entry_key, coalesce(sum(minutes) / 60.0, sum(cost)) as quantity, max(new_version) as new_version
        from billing.left_out
        where reason in ('over_cap', 'written_off', 'credited') or starts_with(reason, 'PURCHASE_ORDER')
              or reason = 'CREDIT_WAITS'
        group by entry_key
        union all  -- one payer's part whose document was cancelled, until the next run bills it again
        select void.entry_key, coalesce(sum(minutes) / 60.0, sum(cost * abs(void.amount / nullif(whole_amount, 0)))), null
        from told
        join billing.invoice on entity = 'invoice' and invoice_key = record_id
        join billing.void_charge void on (void.batch_id, void.project_code) = (invoice.batch_id, invoice.project_code)
            and void.payer_id is not distinct from invoice.payer_id
        where split_id is not null
        group by void.entry_key
    ) part
    group by entry_key
),
judged as (
    select batch_id as load_id, min(checked_at) as judged_at
    from ops.gate_run
    where suite in ('time_expense/time_entry', 'time_expense/expense_entry') and verdict <> 'failed'
    group by batch_id
),
newest as (  -- the batch frozen last that reaches each month; while it is not posted, entries may wait in it
    select distinct on (legal_entity_id, month) legal_entity_id, month, state, frozen_at
    from billing.batch
    join (select distinct to_char(worked_on, 'YYYY-MM') as month from billing.passed_entry) worked on month <= period
    order by legal_entity_id, month, frozen_at desc
),
policy as (  -- from when on we bill; before, work was billed elsewhere
    select * from unnest(%(entities)s::text[], %(starts)s::date[]) as policy (legal_entity_id, starts_on)
),
due as (  -- what a posted batch should have billed of an entry, unless an exception says why it did not
    select entry.entry_key, entry.source, coalesce(entry.time_entry_id, entry.expense_entry_id) as record_id,
           entry.project_code, entry.engagement_id, entry.cost_currency,
           coalesce(entry.minutes / 60.0, entry.cost) - coalesce(waits.quantity, 0) as quantity,
           entry.is_to_bill and entry.is_by_itself and entry.worked_on >= coalesce(policy.starts_on, '-infinity')
               and coalesce(entry.minutes / 60.0, entry.cost) is distinct from waits.quantity as is_to_bill,
           (live.project_code, live.worked_on, live.role, live.category, live.cost_currency)
               is not distinct from
               (entry.project_code, entry.worked_on, entry.role, entry.category, entry.cost_currency) as is_alike
    from billing.passed_entry entry
    join judged on judged.load_id = entry.load_id::text
    join newest on newest.legal_entity_id = entry.legal_entity_id and newest.month = to_char(entry.worked_on, 'YYYY-MM')
    left join policy on policy.legal_entity_id = entry.legal_entity_id
    left join billed on billed.entry_key = entry.entry_key
    left join waits on waits.entry_key = entry.entry_key
    left join (  -- the parts of one entry are alike
        select distinct on (entry_key) * from billing.live_charge order by entry_key, version desc
    ) live on live.entry_key = billed.entry_key
    where newest.state = 'posted' and judged_at < newest.frozen_at
      and not exists (select from told where entity = entry.source || '_entry'
                                         and record_id = coalesce(entry.time_entry_id, entry.expense_entry_id))
      and not exists (select from told where entity = 'project' and record_id = entry.project_code)
      and not exists (select from told where entity = 'project' and record_id = live.project_code)
      and not exists (select from told join billing.invoice on entity = 'invoice' and invoice_key = record_id
                      join billing.void_charge void using (batch_id, project_code)
                      where void.entry_key = entry.entry_key and void.split_id is null)
),
document as (  -- the one document that is ours; others under the reference show in step 6
    select invoice.invoice_key, invoice.amount, invoice.currency, project.engagement_id, invoice.project_code,
           erp.erp_invoice_id, erp.state, erp.untaxed_amount, erp.total_amount, invoice.tax_amount, invoice.gross_amount,
           erp.tax_amount as erp_tax_amount
    from billing.live_invoice invoice
    join core.project using (project_code)
    left join ops.crosswalk known on (known.kind, known.entity_id) = ('invoice', invoice.invoice_key)
    left join core.erp_invoice erp on erp.erp_invoice_id = known.external_id
),
compared as (
    -- 1: an entry that was billed, or should have been: what is due of it, else the version billed last
    select case coalesce(due.source, billed.source) when 'time' then '1 hours to charges' else '1 expenses to charges' end as step,
           coalesce(due.record_id, billed.record_id) as record_id,
           coalesce(document.engagement_id, due.engagement_id) as engagement_id,
           coalesce(document.project_code, due.project_code) as project_code, document.invoice_key,
           coalesce(due.cost_currency, spent.currency, 'h') as unit,
           coalesce(due.source, billed.source) || ' entry' as left_source,
           round(case when due.is_to_bill is null
                          then coalesce(hour.minutes / 60.0, spent.amount)
                               - case when billed.version < waits.new_version then 0 else coalesce(waits.quantity, 0) end
                      when due.is_to_bill then due.quantity end, 4) as left_value,
           'charges' as right_source,
           round(case when due.is_to_bill and not due.is_alike then null else billed.quantity end, 4) as right_value
    from billed
    full join due using (entry_key)
    left join waits using (entry_key)
    left join core.time_entry hour
        on billed.source = 'time' and (hour.time_entry_id, hour.version) = (billed.record_id, billed.version)
    left join core.expense_entry spent
        on billed.source = 'expense' and (spent.expense_entry_id, spent.version) = (billed.record_id, billed.version)
    left join billing.invoice_line line using (line_key)
    left join document using (invoice_key)
    where billed.version is not null or due.is_to_bill
    union all
    select '2 charges to lines', line.line_key, document.engagement_id, document.project_code, document.invoice_key,
           document.currency, 'charges', sum(charge.amount), 'invoice line', line.amount
    from billing.invoice_line line
    join document using (invoice_key)
    left join billing.charge using (line_key)
    group by line.line_key, document.engagement_id, document.project_code, document.invoice_key, document.currency, line.amount
    union all
    select '3 lines to ERP lines', coalesce(line.line_key, 'ERP line ' || erp_line.erp_line_id), document.engagement_id,
           document.project_code, document.invoice_key, document.currency, 'invoice line', line.amount, 'ERP line', erp_line.amount
    from (select invoice_line.* from billing.invoice_line join document using (invoice_key)
          where (coalesce(minutes, 0), invoice_line.amount) <> (0, 0)) line
    full join (select document.invoice_key, erp_line_id, erp_invoice_line.amount,
                      case row_number() over (partition by erp_invoice_id, line_key order by erp_line_id)
                          when 1 then line_key end as line_key  -- a second line of one key is a line of its own
               from core.erp_invoice_line join document using (erp_invoice_id)) erp_line
        on (erp_line.invoice_key, erp_line.line_key) = (line.invoice_key, line.line_key)
    join document on document.invoice_key = coalesce(line.invoice_key, erp_line.invoice_key)
    union all
    select '4 invoices to ERP invoices', document.invoice_key, document.engagement_id, document.project_code,
           document.invoice_key, document.currency, 'invoice', document.amount,
           'posted ERP invoice', case when document.state in ('posted', 'paid') then document.untaxed_amount end
    from document
    union all
    select '4 tax to ERP tax', document.invoice_key, document.engagement_id, document.project_code,
           document.invoice_key, document.currency, 'tax of the invoice', document.tax_amount,
           'tax of the posted ERP invoice', case when document.state in ('posted', 'paid') then document.erp_tax_amount end
    from document where document.tax_amount is not null
    union all
    select '4 gross to ERP total', document.invoice_key, document.engagement_id, document.project_code,
           document.invoice_key, document.currency, 'invoice with tax', document.gross_amount,
           'total of the posted ERP invoice', case when document.state in ('posted', 'paid') then document.total_amount end
    from document where document.tax_amount is not null
    union all
    select '5 ERP invoices to ledger', document.invoice_key, document.engagement_id, document.project_code,
           document.invoice_key, document.currency, 'posted ERP invoice', document.untaxed_amount,
           'revenue in the ledger', (select sum(credit - debit) from core.erp_ledger_line ledger
                                     where ledger.erp_invoice_id = document.erp_invoice_id and ledger.account_kind = 'revenue')
    from document
    union all
    select '5 ERP invoices to receivable', document.invoice_key, document.engagement_id, document.project_code,
           document.invoice_key, document.currency, 'posted ERP invoice', document.total_amount,
           'receivable in the ledger', (select sum(debit - credit) from core.erp_ledger_line ledger
                                        where ledger.erp_invoice_id = document.erp_invoice_id and ledger.account_kind = 'receivable')
    from document
    union all
    -- 6: a document under our reference that is not the one we made
    select '6 strangers under our reference', erp.erp_invoice_id, null, null, erp.reference, erp.currency,
           'nothing', null, 'ERP ' || erp.state, erp.untaxed_amount
    from core.erp_invoice erp
    where erp.state <> 'cancelled' and not exists (select from document where document.erp_invoice_id = erp.erp_invoice_id)
),
gone as (
    delete from finance.invoice_tie_out tied
    where not exists (select from compared where (compared.step, compared.record_id) = (tied.step, tied.record_id))
)
merge into finance.invoice_tie_out tied
using compared on (compared.step, compared.record_id) = (tied.step, tied.record_id)
when matched and (compared.engagement_id, compared.project_code, compared.invoice_key, compared.unit, compared.left_source,
                  compared.left_value, compared.right_source, compared.right_value)
                 is distinct from
                 (tied.engagement_id, tied.project_code, tied.invoice_key, tied.unit, tied.left_source,
                  tied.left_value, tied.right_source, tied.right_value) then
    update set engagement_id = compared.engagement_id, project_code = compared.project_code,
        invoice_key = compared.invoice_key, unit = compared.unit, left_source = compared.left_source,
        left_value = compared.left_value, right_source = compared.right_source, right_value = compared.right_value
when not matched then
    insert (step, record_id, engagement_id, project_code, invoice_key, unit, left_source, left_value, right_source, right_value)
    values (compared.step, compared.record_id, compared.engagement_id, compared.project_code, compared.invoice_key,
            compared.unit, compared.left_source, compared.left_value, compared.right_source, compared.right_value)
