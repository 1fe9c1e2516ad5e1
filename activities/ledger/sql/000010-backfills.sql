-- Backfills: what was planned under its hash, how far its controller is, who told it what.

create table almanac.backfill (
  hash text primary key,
  pipeline text not null,
  plan_hash text not null references almanac.plan (hash),
  -- json, not jsonb: printed as it was planned
  body json not null,
  state text not null check (state in ('planned', 'running', 'pausing', 'paused', 'halted', 'cancelling', 'quiesced', 'done')),
  concurrency int not null check (concurrency > 0),
  -- Why it is in its state, and by whose word.
  reason text,
  who text not null,
  failure jsonb,
  -- Once it is quiesced: how every run of it is known to do no more harm.
  proof jsonb,
  planned_at timestamptz not null,
  started_at timestamptz,
  changed_at timestamptz not null,
  ended_at timestamptz
);
create index backfill_by_change on almanac.backfill (changed_at desc);

create table almanac.backfill_window (
  hash text not null references almanac.backfill on delete cascade,
  -- In the order to run them.
  position int not null,
  window_key text not null,
  -- Runs of a later generation are those of the backfill.
  after_generation int not null,
  -- On record before its run is started.
  begun_at timestamptz,
  primary key (hash, position),
  unique (hash, window_key)
);

create table almanac.backfill_event (
  id bigint generated always as identity primary key,
  hash text not null,
  at timestamptz not null,
  who text not null,
  verb text not null,
  reason text,
  detail jsonb not null default '{}'
);
create index backfill_event_by_hash on almanac.backfill_event (hash, id);
