-- What HR writes for which of our companies.
insert into transfer_employer
select * from jsonb_to_recordset(%(employers)s::jsonb) as said (employer text, legal_entity_id text)
