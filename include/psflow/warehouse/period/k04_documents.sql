-- Each invoice is one posted document of the ERP, found by our reference, of the same amount; no document is a stranger.
-- grain: invoice dated in the month, document under its reference that is not it; left: ours, right: the ERP's, net
-- unit:  the invoice's currency
with invoice as (
    select invoice.*, known.external_id from billing.live_invoice invoice
    left join ops.crosswalk known on (known.kind, known.entity_id) = ('invoice', invoice.invoice_key)
    where legal_entity_id = %(entity)s and invoiced_on between %(start)s and %(end)s
),
disputed as (
    select invoice_key, sum(amount) as amount from billing.dispute left join billing.dispute_end using (dispute_id)
    where outcome is null group by invoice_key
)
select 'invoice ' || invoice_key as record_id, invoice.currency as unit, invoice.amount as left_value,
       case when erp.state in ('posted', 'paid') then erp.untaxed_amount end as right_value,
       case when erp.erp_invoice_id is null then 'the ERP has no document of it'
            when erp.state not in ('posted', 'paid') then 'is ' || erp.state || ' in the ERP'
            when erp.currency <> invoice.currency then 'is in ' || erp.currency || ' in the ERP'
            when erp.untaxed_amount <> invoice.amount then 'is another amount in the ERP' end as says,
       jsonb_strip_nulls(jsonb_build_object('ERP number', erp.number, 'state', erp.state, 'to pay', erp.to_pay::text,
                                            'disputed', disputed.amount::text)) as detail
from invoice
left join core.erp_invoice erp on erp.erp_invoice_id = invoice.external_id
left join disputed using (invoice_key)
union all
select 'document ' || erp.erp_invoice_id, erp.currency, null, erp.untaxed_amount,
       'is ' || erp.state || ' in the ERP under ' || erp.reference || ', and is not the document we made', null
from core.erp_invoice erp
join billing.invoice on invoice.invoice_key = erp.reference
where invoice.legal_entity_id = %(entity)s and invoiced_on between %(start)s and %(end)s and erp.state <> 'cancelled'
  and not exists (select from ops.crosswalk known where known.kind = 'invoice' and known.entity_id = erp.reference
                                                    and known.external_id = erp.erp_invoice_id)
