-- One ledger line of a document's move as the ERP has it.
insert into core.erp_ledger_line values (
    %(erp_move_line_id)s, %(invoice)s, %(erp_move_id)s, %(account_kind)s, %(debit)s, %(credit)s, %(erp_line_id)s)
