-- A deal whose last epoch was compensated begins again; what was closed stays closed, and is known as of that epoch.
with retired as (
    update ops.crosswalk set entity_id = entity_id || '.' || (%(epoch)s - 1)
    where kind = 'project' and entity_id = (select project_code from core.project where engagement_id = %(engagement_id)s)
),
raised as (
    update core.engagement set epoch = %(epoch)s where engagement_id = %(engagement_id)s returning engagement_id, epoch
)
insert into ops.workflow (engagement_id, epoch, state)
select engagement_id, epoch, 'won' from raised
