-- One product line of a deal; unchanged rows are not touched.
insert into core.opportunity_line values (
    %(opportunity_id)s, %(line_id)s, %(product_code)s, %(quantity)s, %(unit_price)s)
on conflict (opportunity_id, line_id) do update
set product_code = excluded.product_code, quantity = excluded.quantity, unit_price = excluded.unit_price
where opportunity_line.* is distinct from excluded.*
