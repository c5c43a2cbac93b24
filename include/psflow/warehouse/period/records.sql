-- The records of a version that break or say more, the breaks first; at most 200 a control are shown.
select * from (
    select *, row_number() over (partition by control order by says is null, record_id, unit) as place,
           count(*) over (partition by control) as found
    from ops.close_record where close_id = %(close)s) numbered
where place <= 200
order by control, place
