-- Reading that survives what vendors send.

-- A deal that is judged again before anything was made of it gets the terms it has now.
grant update on core.contract, core.project to psflow_app;
create index effect_by_engagement on ops.effect (engagement_id) where engagement_id is not null;
