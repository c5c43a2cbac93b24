-- Take the entries of projects that wait out of the difference. The lines of one entry go together or not at all: an
-- hour that moved to another project is not charged there while its reversal waits.
delete from billing_difference
where kind <> 'unrated'
  and entry_key in (select entry_key from billing_difference
                    where kind <> 'unrated' and project_code = any(%(projects)s))
