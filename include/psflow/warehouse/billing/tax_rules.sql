-- What psflow.yaml says of a legal entity's taxes, where it is another than last time.
insert into billing.tax_rules (legal_entity_id, rules)
select %(entity)s, %(rules)s::jsonb
where (select rules from billing.tax_rules where legal_entity_id = %(entity)s order by statement_id desc limit 1)
      is distinct from %(rules)s::jsonb
