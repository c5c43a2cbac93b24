-- Leave of the window that HR no longer has. `seen` holds the days read, `<absence id>|<day>`, and the ids of what could
-- not be read.
delete from core.absence
where absent_on between %(from_day)s and %(to_day)s
  and absence_id || '|' || absent_on <> all(%(seen)s) and absence_id <> all(%(seen)s)
returning absence_id
