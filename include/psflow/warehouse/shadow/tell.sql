-- Whose number it is, as psflow.yaml says now, where that is not what was said last.
insert into ops.number_owner (rules)
select %(rules)s::jsonb
where coalesce((select rules from ops.number_owner order by statement_id desc limit 1), '[]') <> %(rules)s::jsonb
