-- One product line of a deal; unchanged rows are not touched.
insert into core.opportunity_line (
    opportunity_id, line_id, product_code, quantity, unit_price, role, skills, hours_per_day, starts_on, ends_on)
values (
    %(opportunity_id)s, %(line_id)s, %(product_code)s, %(quantity)s, %(unit_price)s, %(role)s, %(skills)s::text[],
    %(hours_per_day)s, %(starts_on)s, %(ends_on)s)
on conflict (opportunity_id, line_id) do update
set product_code = excluded.product_code, quantity = excluded.quantity, unit_price = excluded.unit_price,
    role = excluded.role, skills = excluded.skills, hours_per_day = excluded.hours_per_day,
    starts_on = excluded.starts_on, ends_on = excluded.ends_on
where opportunity_line.* is distinct from excluded.*
