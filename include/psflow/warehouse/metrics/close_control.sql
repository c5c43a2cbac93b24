-- Each control of each version of a month's close: what was counted, its hash, whether it ties, who signed it.
-- id:     close_control.v1
-- grain:  legal entity x period x version x control
-- unit:   records; sums by unit (h, persons, changes, a currency, also with what it is of)
-- owner:  finance
-- source: ops.close, ops.close_control, ops.close_signature, core.period
create or replace view finance.close_control as
select head.legal_entity_id, head.period, head.version, control.control, control.says, control.records, control.sums,
       control.breaks, control.result, control.content_hash, control.query, control.parameters, head.run_id, head.as_of,
       head.prepared_by, signed.decision, signed.person as signed_by, signed.signed_at, signed.reason, period.state,
       head.version = max(head.version) over (partition by head.legal_entity_id, head.period) as is_newest, head.close_id
from ops.close head
join ops.close_control control using (close_id)
left join ops.close_signature signed using (close_id)
left join core.period using (legal_entity_id, period);
comment on column finance.close_control.legal_entity_id is 'The company of ours.';
comment on column finance.close_control.period is 'The month, YYYY-MM.';
comment on column finance.close_control.version is 'Counts up with each close; one that was re-opened is signed anew.';
comment on column finance.close_control.control is 'K1 to K4 and K8 to K13.';
comment on column finance.close_control.says is 'What the control holds.';
comment on column finance.close_control.records is 'Number of records that were looked at.';
comment on column finance.close_control.sums is 'Unit and sum of the left values; two units are never added.';
comment on column finance.close_control.breaks is 'Number of records that do not hold.';
comment on column finance.close_control.result is 'tied without a break, else broken.';
comment on column finance.close_control.content_hash is 'SHA-256 over the records in key order; null without records.';
comment on column finance.close_control.query is 'The query, as it was run.';
comment on column finance.close_control.parameters is 'Its parameters; with them it gives the same again.';
comment on column finance.close_control.run_id is 'The Airflow run that computed it.';
comment on column finance.close_control.as_of is 'The cut-off: what arrived later counts in the next open month.';
comment on column finance.close_control.prepared_by is 'Person who started the close; may not sign it.';
comment on column finance.close_control.decision is 'signed or rejected; null: nobody decided yet.';
comment on column finance.close_control.signed_by is 'Person who decided.';
comment on column finance.close_control.signed_at is 'When they did.';
comment on column finance.close_control.reason is 'What they said; a break is signed with the reason for which it is accepted.';
comment on column finance.close_control.state is 'State of the month now: open, soft_closed, closed, or changed (closed, and not as signed).';
comment on column finance.close_control.is_newest is 'Whether it is the newest version of its month.';
comment on column finance.close_control.close_id is 'The version''s number in ops.close.';
