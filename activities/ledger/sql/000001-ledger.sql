-- The ledger: what was asked, planned, tried and decided. Truth about closed runs is here.

create table almanac.text (
  hash text primary key,
  body text not null
);

create table almanac.plan (
  hash text primary key,
  pipeline text not null,
  -- json, not jsonb: the order of columns is part of a declaration
  body json not null,
  stored_at timestamptz not null default now()
);

create table almanac.run (
  pipeline text not null,
  window_key text not null,
  branch text not null default 'main',
  generation int not null,
  state text not null check (state in ('claimed', 'running', 'held', 'succeeded', 'abandoned', 'cancelled', 'lost')),
  -- Token of the claimer: a workflow that finds another claim than its own ends at once.
  claim text not null,
  plan_hash text not null references almanac.plan (hash),
  pins jsonb not null default '{}',
  bootstrap boolean not null default false,
  origin boolean not null default false,
  -- The re-run matrix as it was decided: code, inputs, params, stages carried over.
  matrix jsonb not null default '{}',
  verb text not null,
  who text not null,
  reason text,
  temporal_run_id text,
  failure jsonb,
  -- For cancelled runs: how each open attempt was seen to end.
  proof jsonb,
  claimed_at timestamptz not null,
  started_at timestamptz,
  changed_at timestamptz not null,
  ended_at timestamptz,
  history_path text,
  primary key (pipeline, window_key, branch, generation)
);
create index run_by_change on almanac.run (changed_at desc);
create index run_without_history on almanac.run (ended_at) where ended_at is not null and history_path is null;

create table almanac.attempt (
  pipeline text not null,
  window_key text not null,
  branch text not null,
  generation int not null,
  stage text not null,
  -- Sequential in the run; 0 is an output carried over from an earlier generation.
  attempt int not null,
  -- Which order of the workflow this attempt serves; automatic retries share it.
  epoch int not null,
  kind text not null,
  state text not null check (state in ('running', 'succeeded', 'failed', 'cancelled', 'lost', 'skipped', 'carried')),
  stage_hash text not null,
  worker text,
  child jsonb,
  output jsonb,
  failure jsonb,
  tainted boolean not null default false,
  started_at timestamptz not null,
  ended_at timestamptz,
  primary key (pipeline, window_key, branch, generation, stage, attempt),
  foreign key (pipeline, window_key, branch, generation) references almanac.run
);
create index attempt_running on almanac.attempt (worker) where state = 'running';

create table almanac.log_line (
  id bigint generated always as identity primary key,
  pipeline text not null,
  window_key text not null,
  branch text not null,
  generation int not null,
  stage text not null,
  attempt int not null,
  at timestamptz not null,
  line text not null
);
create index log_line_by_run on almanac.log_line (pipeline, window_key, branch, generation, id);

create table almanac.action (
  id bigint generated always as identity primary key,
  at timestamptz not null,
  who text not null,
  verb text not null,
  pipeline text not null,
  window_key text not null,
  branch text not null,
  generation int not null,
  stage text,
  reason text,
  detail jsonb not null default '{}'
);
create index action_by_run on almanac.action (pipeline, window_key, branch, generation, id);
