-- reconciliation: five comparisons, record by record; a value missing on one side is a break, never a zero.
-- grain: step 1 time entry (billed, or lost), 2 and 3 invoice line, 4 and 5 invoice, 6 our reference in the ERP
-- unit:  h (hours, from whole minutes) or the invoice's currency
-- reads: core.time_entry, core.time_entry_head, billing.*, core.erp_*, ops.crosswalk
-- owner: finance
with live as (
    select charge.time_entry_id, sum(charge.minutes) as minutes, max(charge.line_key) as line_key
    from billing.charge charge
    group by charge.time_entry_id
),
document as (  -- the one document that is ours; others under the reference show in step 6
    select invoice.invoice_key, invoice.amount, invoice.currency, project.engagement_id, invoice.project_code,
           erp.erp_invoice_id, erp.state, erp.untaxed_amount, erp.total_amount
    from billing.invoice
    join core.project using (project_code)
    left join ops.crosswalk known on (known.kind, known.entity_id) = ('invoice', invoice.invoice_key)
    left join core.erp_invoice erp on erp.erp_invoice_id = known.external_id
),
compared as (
    -- 1: an entry that was billed, against the version billed last
    select '1 hours to charges' as step, charged.time_entry_id as record_id, document.engagement_id,
           document.project_code, document.invoice_key, 'h' as unit,
           'time entry' as left_source, round(entry.minutes / 60.0, 4) as left_value,
           'charges' as right_source, round(charged.minutes / 60.0, 4) as right_value
    from (select live.*, last.version from live
          join lateral (select version from billing.charge c where c.time_entry_id = live.time_entry_id and c.kind = 'charge'
                        order by version desc limit 1) last on true) charged
    join core.time_entry entry on (entry.time_entry_id, entry.version) = (charged.time_entry_id, charged.version)
    join billing.invoice_line line on line.line_key = charged.line_key
    join document on document.invoice_key = line.invoice_key
    where exists (select from billing.live_charge l where l.time_entry_id = charged.time_entry_id)
    union all
    -- 1: an entry that a posted batch should have billed and did not, with no exception that says why
    select '1 hours to charges', entry.time_entry_id, project.engagement_id, entry.project_code, null, 'h',
           'time entry', round(entry.minutes / 60.0, 4), 'charges', null
    from core.time_entry_head head
    join core.time_entry entry on (entry.time_entry_id, entry.version) = (head.time_entry_id, head.passed_version)
    join core.project using (project_code)
    join core.contract using (engagement_id)
    where entry.is_approved and entry.is_billable and entry.minutes <> 0
      and not exists (select from billing.charge where charge.time_entry_id = entry.time_entry_id)
      and exists (
          select from billing.batch
          join ops.gate_run gate on gate.suite = 'time_expense/time_entry' and gate.batch_id = entry.load_id::text
              and gate.verdict <> 'failed' and gate.checked_at < batch.frozen_at
          where batch.legal_entity_id = contract.legal_entity_id and batch.state = 'posted'
            and entry.worked_on < (batch.period || '-01')::date + interval '1 month')
      and not exists (
          select from ops.exceptions exception
          where exception.state = 'open'
            and ((exception.rule in ('rate', 'billing') and exception.entity = 'time_entry'
                  and exception.record_id = entry.time_entry_id)
                 or (exception.rule = 'billing' and exception.entity = 'project'
                     and exception.record_id = entry.project_code)))
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
    from (select invoice_line.*, erp_invoice_id from billing.invoice_line join document using (invoice_key)
          where (minutes, invoice_line.amount) <> (0, 0)) line
    full join (select erp_invoice_line.* from core.erp_invoice_line join document using (erp_invoice_id)) erp_line
        on (erp_line.erp_invoice_id, erp_line.line_key) = (line.erp_invoice_id, line.line_key)
    join document on document.invoice_key = line.invoice_key or document.erp_invoice_id = erp_line.erp_invoice_id
    union all
    select '4 invoices to ERP invoices', document.invoice_key, document.engagement_id, document.project_code,
           document.invoice_key, document.currency, 'invoice', document.amount,
           'posted ERP invoice', case when document.state in ('posted', 'paid') then document.untaxed_amount end
    from document
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
