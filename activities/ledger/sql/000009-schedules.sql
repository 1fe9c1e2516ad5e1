-- Schedules as they are installed, and the ledger of their slots: one row a nominal firing, one outcome each.

create table almanac.schedule (
  pipeline text primary key,
  -- Timetable and policies as declared; `almanac schedule apply` compares.
  spec jsonb not null,
  window_spec jsonb not null,
  deadline jsonb,
  plan_hash text not null references almanac.plan (hash),
  paused boolean not null,
  -- Why, by whom, since when it is paused or not.
  reason text not null,
  who text not null,
  changed_at timestamptz not null,
  -- Slots up to here are in the ledger; before its first value the schedule did not exist.
  seen_until timestamptz not null
);

create table almanac.slot (
  pipeline text not null references almanac.schedule on delete cascade,
  -- Wall-clock time in the schedule's zone, `YYYY-MM-DDTHH:MM`; of a manual trigger the instant with `Z`.
  nominal text not null,
  at timestamptz not null,
  window_key text not null,
  state text not null check (state in ('due', 'queued', 'paused', 'starting', 'settled')),
  outcome text check (outcome in ('ran', 'caught-up', 'skipped-overlap', 'skipped-paused', 'missed', 'superseded')),
  reason text,
  -- It waited for the end of a pause.
  was_paused boolean not null default false,
  manual text check (manual in ('obey', 'ignore')),
  who text,
  generation int,
  seen_at timestamptz not null,
  starting_at timestamptz,
  settled_at timestamptz,
  primary key (pipeline, nominal),
  check ((state = 'settled') = (outcome is not null))
);
create index slot_open on almanac.slot (pipeline, at) where outcome is null;
create index slot_by_time on almanac.slot (at desc);
create index run_open on almanac.run (pipeline) where ended_at is null;
