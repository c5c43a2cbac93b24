-- A document as the ERP has it.
insert into core.erp_invoice (
    erp_invoice_id, reference, number, state, currency, untaxed_amount, tax_amount, total_amount, erp_move_id, to_pay, paid_on)
values (
    %(erp_invoice_id)s, %(reference)s, %(number)s, %(state)s, %(currency)s, %(untaxed_amount)s, %(tax_amount)s,
    %(total_amount)s, %(erp_move_id)s, %(to_pay)s, %(paid_on)s)
