-- A customer as the CRM has it; unchanged rows are not touched.
insert into core.customer values (%(customer_id)s, %(name)s, %(street)s, %(city)s, %(country)s, %(vat_id)s)
on conflict (customer_id) do update
set name = excluded.name, street = excluded.street, city = excluded.city, country = excluded.country, vat_id = excluded.vat_id
where customer.* is distinct from excluded.*
