-- A line of a bill, its project by our code where we know it.
insert into core.bill_line (
    system, instance, bill_id, line_id, kind, entry_id, project_code, minutes, hourly_rate, amount, says)
values (%(system)s, %(instance)s, %(bill_id)s, %(line_id)s, %(kind)s, %(entry_id)s,
        coalesce((select entity_id from ops.crosswalk where kind = 'project' and system = %(system)s
                      and instance = %(instance)s and external_id = %(project_ref)s),
                 (select project_code from core.project where project_code = %(project_ref)s)),
        %(minutes)s, %(hourly_rate)s, %(amount)s, %(says)s)
