-- Pools of permits: how large they are, who holds and who waits, whose turn it is.

create table almanac.pool (
  name text primary key,
  -- Permits as the project declares them, and as an operator set them instead; null: as declared.
  declared int not null check (declared > 0),
  permits int check (permits >= 0),
  reason text,
  who text,
  changed_at timestamptz not null
);

create table almanac.lease (
  pipeline text not null,
  window_key text not null,
  branch text not null,
  generation int not null,
  stage text not null,
  pool text not null references almanac.pool,
  permits int not null check (permits > 0),
  -- Runs of backfills take turns with the live ones of their pipeline.
  lane text not null check (lane in ('live', 'backfill')),
  -- The order it is for, and the attempt that holds it: only that one gives it back, and the next one of the stage takes it over.
  epoch int not null,
  attempt int not null,
  state text not null check (state in ('waiting', 'held')),
  asked_at timestamptz not null,
  -- When a waiting one last looked.
  seen_at timestamptz not null,
  -- Since when it is held.
  since timestamptz,
  primary key (pipeline, window_key, branch, generation, stage),
  foreign key (pipeline, window_key, branch, generation) references almanac.run,
  check ((state = 'held') = (since is not null))
);
create index lease_by_pool on almanac.lease (pool);

-- Which pipeline, and which of its lanes, was served when: the higher the later.
create table almanac.pool_turn (
  pool text not null references almanac.pool,
  pipeline text not null,
  lane text not null,
  turn bigint not null,
  primary key (pool, pipeline, lane)
);

-- When it last got its permits: what it took before that it waited, and says nothing of how long its stage takes.
alter table almanac.attempt add column permits_at timestamptz;

-- A run that ends other than well gives back what it has, whatever ended it; a hold gives back what its failed stages have. Every
-- stage of a run that succeeded gave its own back.
create function almanac.free_leases() returns trigger language plpgsql as $$
begin
  delete from almanac.lease l
  where (l.pipeline, l.window_key, l.branch, l.generation) = (new.pipeline, new.window_key, new.branch, new.generation)
    and (new.state <> 'held' or new.failure ? l.stage);
  return null;
end $$;
create trigger leases_freed after update on almanac.run for each row
  when (new.state in ('held', 'abandoned', 'cancelled', 'lost') and (old.state <> new.state or old.hold <> new.hold))
  execute function almanac.free_leases();
