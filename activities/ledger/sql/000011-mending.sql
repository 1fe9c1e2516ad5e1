-- What operators mend with: rows replayed out of quarantine, checks overridden for a time, verbs taken back.

-- A read model of `replays/` in the store, which `dataset reindex` rebuilds.
create table almanac.replay (
  dataset text not null,
  -- The window the rows belong to, which reads them beside its landing files.
  window_key text not null,
  number int not null,
  path text not null,
  rows bigint not null,
  -- Rows by quarantine reason.
  reasons jsonb not null,
  -- The version in whose quarantine they lie, and lay when they were replayed.
  from_window text not null,
  from_version text not null,
  who text not null,
  reason text,
  replayed_at timestamptz not null,
  primary key (dataset, window_key, number)
);
create index replay_by_origin on almanac.replay (dataset, from_window);

-- A check of a pipeline that may fail for a while.
create table almanac.check_override (
  id bigint generated always as identity primary key,
  pipeline text not null,
  branch text not null,
  check_id text not null,
  -- The run that somebody looked at.
  window_key text not null,
  generation int not null,
  stage text not null,
  who text not null,
  reason text not null,
  since timestamptz not null,
  until timestamptz not null,
  withdrawn_at timestamptz
);
create index check_override_by_check on almanac.check_override (pipeline, branch, until) where withdrawn_at is null;

alter table almanac.check_result
  add column overridden_by text,
  add column overridden_until timestamptz,
  add column override_reason text;

alter table almanac.action add column undone_at timestamptz;
