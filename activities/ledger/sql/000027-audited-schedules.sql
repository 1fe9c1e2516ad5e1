-- What was done to a schedule: it has a pipeline, but no window.
-- safe for the build before: what it writes fits the wider rule.
alter table almanac.action drop constraint action_of_one_thing;
alter table almanac.action add constraint action_of_one_thing check (
  case when pool is null then pipeline is not null and num_nulls(window_key, branch, generation) in (0, 3)
    else num_nulls(pipeline, window_key, branch, generation) = 4 end
);
