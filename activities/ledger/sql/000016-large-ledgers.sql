-- What lists, grids, plans and the question of staleness need to read no more of a large ledger than they answer with.

-- Lists of one pipeline, or of one state, newest change first.
create index run_by_pipeline on almanac.run (pipeline, changed_at desc);
create index run_by_state on almanac.run (state, changed_at desc);

-- The newest attempts of a stage, from which a backfill is estimated.
create index attempt_history on almanac.attempt (pipeline, stage, ended_at desc) where state = 'succeeded' and attempt > 0;

-- Every set that this window ever accepted had the rows of the one before it, as far as the catalog saw each of them.
alter table almanac.accepted_set add column same_rows boolean not null default false;

-- Who accepts what in a window, and the windows whose set may accept other rows than somebody read.
create index accepted_version_by_window on almanac.accepted_version (dataset, window_key);
create index accepted_set_replaced on almanac.accepted_set (pipeline, branch, window_key)
  where (sequence > 1 and not same_rows) or tainted or branch <> 'main';
create index dataset_version_bootstrapped on almanac.dataset_version (dataset, window_key) where bootstrap;
