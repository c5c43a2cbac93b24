-- The tax of what several customers pay is each payer's own; what is corrected or credited keeps the one it was invoiced with.
update billing_difference line
set tax_id = coalesce(
    (select max(live.tax_id) from billing_live live
     where (live.entry_key, live.project_code, live.worked_on) = (line.entry_key, line.project_code, line.worked_on)
       and live.payer_id is not distinct from line.payer_id and fate in ('reversed', 'credited')),
    (select taxed.tax_id from billing_taxed taxed
     where taxed.project_code = line.project_code and taxed.payer_id is not distinct from line.payer_id
       and line.worked_on between coalesce(taxed.valid_from, '-infinity') and coalesce(taxed.valid_to, 'infinity')))
where split_id is not null and kind = 'charge'
