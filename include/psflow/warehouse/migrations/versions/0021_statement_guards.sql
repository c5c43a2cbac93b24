-- What is asked of a batch is asked once a batch, not once an invoice: its content is hashed as often.

create or replace function billing.guard_invoice() returns trigger language plpgsql as $$
declare
    batch text;
    head billing.batch;
    hash text;
    other text;
    closed text;
begin
    for batch in select distinct batch_id from added loop
        head := (select b from billing.batch b where b.batch_id = batch);
        hash := billing.content_hash(batch);
        if (select count(*) from ops.approval a where a.batch_id = batch and a.decision = 'approved' and a.content_hash = hash) < 2 then
            raise exception 'batch % has no approval of its content', batch using errcode = 'check_violation';
        end if;
        if not exists (select from ops.gate_run g where g.suite = 'billing/batch' and g.batch_id = batch
                                                  and g.verdict <> 'failed' and g.content_hash = hash) then
            raise exception 'batch % has no gate verdict on its content', batch using errcode = 'check_violation';
        end if;
        select string_agg(invoice_key, ', ') into other from added
        where added.batch_id = batch
          and (added.legal_entity_id, added.invoiced_on) is distinct from (head.legal_entity_id, head.invoiced_on);
        if other is not null then
            raise exception 'invoice % is not of the legal entity and day of its batch', other using errcode = 'check_violation';
        end if;
        select string_agg(period, ', ') into closed from core.period p
        where p.legal_entity_id = head.legal_entity_id and p.closed_at is not null
          and p.period in (head.period, to_char(head.invoiced_on, 'YYYY-MM'));
        if closed is not null then
            raise exception 'period % of % is closed, and batch % bills % on %',
                closed, head.legal_entity_id, batch, head.period, head.invoiced_on using errcode = 'check_violation';
        end if;
    end loop;
    return null;
end $$;
drop trigger guard on billing.invoice;
create trigger guard after insert on billing.invoice referencing new table as added
    for each statement execute function billing.guard_invoice();

-- nothing is known yet of rows that came a moment ago: a guess of one row would read the whole batch once an invoice
alter function billing.guard_invoice_period() set enable_nestloop = off;

create index invoice_line_by_invoice on billing.invoice_line (invoice_key);

-- a charge is of a frozen line, and that is of the batch: asked once is enough
alter table billing.charge drop constraint charge_batch_id_fkey;
