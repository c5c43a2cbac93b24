-- Take the entries of projects that wait out of the difference. The lines of one entry go together or not at all: an
-- hour that moved to another project is not charged there while its reversal waits.
delete from billing_difference
where kind <> 'unrated'
  and time_entry_id in (select time_entry_id from billing_difference
                        where kind <> 'unrated' and project_code = any(%(projects)s))
