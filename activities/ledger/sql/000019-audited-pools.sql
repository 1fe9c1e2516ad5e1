-- What was done to something other than a run: to a pool.
-- safe for the build before: it writes actions of runs only, which stay as they were.
alter table almanac.action
  alter column pipeline drop not null,
  alter column window_key drop not null,
  alter column branch drop not null,
  alter column generation drop not null,
  add column pool text,
  add constraint action_of_one_thing check (
    num_nulls(pipeline, window_key, branch, generation) = case when pool is null then 0 else 4 end
  );
