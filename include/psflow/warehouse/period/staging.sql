-- What the controls answer in this transaction.
create temporary table if not exists close_answer (
    control text, record_id text, unit text, left_value numeric, right_value numeric, says text, detail jsonb
) on commit drop;
truncate close_answer;
