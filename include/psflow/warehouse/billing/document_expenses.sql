-- The expenses of one invoice, one line a category; a line that nets to nothing is not on the document.
select line_key, invoice_line.category, amount, number as purchase_order, erp_tax
from billing.invoice_line
left join billing.purchase_order using (order_id)
left join billing.tax using (tax_id)
where invoice_key = %(invoice)s and invoice_line.category is not null and amount <> 0
order by line_key
