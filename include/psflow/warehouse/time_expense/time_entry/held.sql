-- How many wait, whenever their gate held them.
select count(*) from core.time_entry_head where state = 'held'
