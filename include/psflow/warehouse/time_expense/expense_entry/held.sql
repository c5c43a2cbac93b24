-- How many wait, whenever their gate held them.
select count(*) from core.expense_entry_head where state = 'held'
