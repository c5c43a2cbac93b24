-- A skill somebody has; its name may be edited here and is not overwritten.
insert into core.skill (skill, name) values (%(skill)s, %(skill)s) on conflict do nothing
