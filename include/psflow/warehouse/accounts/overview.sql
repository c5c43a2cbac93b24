-- Every vendor account that was ever asked: breaker, pause, and the tokens of its bucket that are not paid for yet.
select system, instance, breaker, since, reason, opened_by, failures, probes,
       next_probe_at, greatest(0, extract(epoch from next_probe_at - clock_timestamp()))::float as probe_in_s,
       case when paused_until > clock_timestamp() then paused_until end as paused_until,
       greatest(0, extract(epoch from busy_until - clock_timestamp()))::float as busy_s
from ops.account
order by system, instance
