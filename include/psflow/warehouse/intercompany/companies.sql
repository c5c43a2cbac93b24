-- Our companies, with the day from which their hours are ours to transfer.
insert into transfer_company
select * from jsonb_to_recordset(%(companies)s::jsonb) as said (legal_entity_id text, starts_on date)
