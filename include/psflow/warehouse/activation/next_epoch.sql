-- A deal whose last epoch was compensated begins again; what was closed stays closed.
with raised as (
    update core.engagement set epoch = %(epoch)s where engagement_id = %(engagement_id)s returning engagement_id, epoch
)
insert into ops.workflow (engagement_id, epoch, state)
select engagement_id, epoch, 'won' from raised
