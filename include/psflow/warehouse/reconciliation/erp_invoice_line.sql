-- One line of a document as the ERP has it.
insert into core.erp_invoice_line values (
    %(erp_line_id)s, %(invoice)s, %(line_key)s, %(quantity)s, %(unit_price)s, %(amount)s)
