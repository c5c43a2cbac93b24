-- The numbers as they were published: each snapshot that passed its gate, so that June stays what it was in June.
-- id:     metric_published.v1
-- grain:  snapshot x metric x its own grain
-- unit:   said in each row: a currency, or ratio
-- owner:  finance
-- source: finance.snapshot, finance.metric_snapshot, ops.gate_run
create or replace view finance.metric_published as
select snapshot.as_of, snapshot.snapshot_id, kept.metric, kept.grain, kept.value, kept.unit
from finance.snapshot
join finance.metric_snapshot kept using (snapshot_id)
where exists (select from ops.gate_run gate
              where gate.suite = 'metrics/metric' and gate.batch_id = snapshot.snapshot_id::text
                and gate.verdict <> 'failed');
comment on column finance.metric_published.as_of is 'The day it was published; a number stands until the next snapshot.';
comment on column finance.metric_published.snapshot_id is 'Which snapshot; a day may have several, the highest is the last.';
comment on column finance.metric_published.metric is 'Name of the number; a control must be 0.';
comment on column finance.metric_published.grain is 'What it is of: project and month, person and ISO week, engagement, or project.';
comment on column finance.metric_published.value is 'The number, in unit; null when something it needed was missing.';
comment on column finance.metric_published.unit is 'A currency, or ratio.';
