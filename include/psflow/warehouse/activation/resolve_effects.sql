-- What went wrong on the way of a deal that is active now; the exceptions of its invoices and of its people are not touched.
update ops.exceptions exception set state = 'resolved', resolved_at = clock_timestamp()
where state = 'open' and exception.engagement_id = %(engagement_id)s
  and (rule = 'activation' or rule = 'effect' and (entity = 'activation' or exists (
      select from ops.effect where effect_key = record_id and batch_id is null
          and capability not in ('request_resource', 'assign_resource', 'close_request'))))
