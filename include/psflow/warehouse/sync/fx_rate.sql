-- What a currency was worth from a day on; unchanged rows are not touched.
insert into core.fx_rate (from_currency, to_currency, valid_on, rate, source)
values (%(from_currency)s, %(to_currency)s, %(valid_on)s, %(rate)s, %(source)s)
on conflict (from_currency, to_currency, valid_on) do update set rate = excluded.rate, source = excluded.source
where fx_rate.* is distinct from excluded.*
