-- Each suite with its newest verdict, and how many of its verdicts passed, held rows or failed.
select distinct on (suite) suite, gate_id, verdict, checked_at, rows_held,
       count(*) filter (where verdict = 'passed') over (partition by suite) as passed,
       count(*) filter (where verdict = 'held') over (partition by suite) as held,
       count(*) filter (where verdict = 'failed') over (partition by suite) as failed
from seen_gate order by suite, gate_id desc
