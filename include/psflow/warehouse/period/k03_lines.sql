-- Each charge is on one invoice that counts; the charges of a line are the line, the lines of an invoice the invoice.
-- grain: invoice line, invoice dated in the month; left: line or invoice, right: the sum below it
-- unit:  the invoice's currency; lines and invoices are two sums, since both are the same money
with invoice as (
    select * from billing.live_invoice
    where legal_entity_id = %(entity)s and invoiced_on between %(start)s and %(end)s
),
compared as (
    select 'line ' || line.line_key as record_id, invoice.currency || ' of lines' as unit, line.amount as left_value,
           (select sum(charge.amount) from billing.charge where charge.line_key = line.line_key) as right_value,
           'its charges are not its amount' as says
    from billing.invoice_line line join invoice using (invoice_key)
    union all
    select 'invoice ' || invoice_key, currency || ' of invoices', amount,
           (select sum(line.amount) from billing.invoice_line line where line.invoice_key = invoice.invoice_key),
           'its lines are not its amount'
    from invoice
),
doubled as (
    select charge.entry_key, charge.version, charge.currency, sum(charge.amount) as amount,
           string_agg(line.invoice_key, ', ' order by line.invoice_key) as invoices
    from billing.live_charge charge
    join billing.invoice_line line using (line_key)
    where charge.entry_key in (select entry_key from billing.live_charge of_month
                               join billing.invoice_line using (line_key) join invoice using (invoice_key))
    group by charge.entry_key, charge.version, charge.component, charge.seq, charge.currency
    having count(*) > 1
)
select record_id, unit, left_value, right_value,
       case when left_value is distinct from right_value then says end as says, null::jsonb as detail
from compared
union all
select 'entry ' || entry_key || '.' || version, currency || ' of entries on two invoices', amount, null, 'is on more than one invoice: ' || invoices, null
from doubled
