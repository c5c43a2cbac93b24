-- A document as the ERP has it.
insert into core.erp_invoice values (
    %(erp_invoice_id)s, %(reference)s, %(number)s, %(state)s, %(currency)s, %(untaxed_amount)s, %(total_amount)s,
    %(erp_move_id)s)
