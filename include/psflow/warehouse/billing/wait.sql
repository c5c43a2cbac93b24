-- Take what is on invoices that wait out of the difference, and all entries of projects that wait whole: of an entry that is
-- corrected in its place, one payer's part alone.
-- Of one that moved to another project, day or split, that is not billed any more, or that somebody decided on, all lines go
-- together or not at all: it is not charged to one customer while its reversal for another waits.
with waiting as (
    select * from unnest(%(projects)s::text[], %(payers)s::text[]) as invoice (project_code, payer_id)
),
whole as (
    select entry_key from billing_difference
    where kind <> 'unrated'
    group by entry_key
    having bool_or(project_code = any(%(whole)s))
       or bool_or((project_code, coalesce(payer_id, '')) in (select project_code, coalesce(payer_id, '') from waiting))
       and (bool_or(adjustment_id is not null) or bool_and(kind = 'reversal') or min(project_code) <> max(project_code)
            or min(worked_on) <> max(worked_on) or min(coalesce(split_id, 0)) <> max(coalesce(split_id, 0)))
),
gone as (
    delete from billing_difference
    where kind <> 'unrated'
      and ((project_code, coalesce(payer_id, '')) in (select project_code, coalesce(payer_id, '') from waiting)
           or entry_key in (select entry_key from whole))
    returning *
)
insert into billing_waits select * from gone where split_id is not null
