-- Hours each person still has on each working day of the window: capacity less what is assigned.
select resource_id, day, capacity.hours - coalesce(booked.hours, 0) as hours
from core.capacity(%(from_day)s, %(to_day)s) capacity
left join core.booked(%(from_day)s, %(to_day)s) booked using (resource_id, day)
where extract(isodow from day) < 6
