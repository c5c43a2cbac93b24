-- What breaks or says more than its values stays with the version.
insert into ops.close_record (close_id, control, record_id, unit, left_value, right_value, says, detail)
select %(close)s, control, record_id, unit, left_value, right_value, says, detail
from close_answer where says is not null or detail is not null
