-- What was started outside and may be neither lost nor done twice: rounds of Spark jobs.

create table almanac.ledger (
  -- What this ledger calls itself on clusters that it may share with others.
  id text not null default substr(replace(gen_random_uuid()::text, '-', ''), 1, 12),
  one boolean primary key default true check (one)
);
insert into almanac.ledger default values;

create table almanac.effect (
  pipeline text not null,
  window_key text not null,
  branch text not null,
  generation int not null,
  stage text not null,
  -- From 1; a round begins only once nothing of the one before can commit any more.
  round int not null,
  -- Key of the version the job computes.
  candidate text not null,
  epoch int not null,
  -- The newest attempt that took it up: only that one writes, while it runs.
  attempt int not null,
  -- Of the step, the same for everyone who means this round.
  name text not null unique,
  -- Of the job, in the store; null until its order lies there, which is before it is submitted.
  token_path text,
  state text not null check (state in ('intended', 'submitted', 'running', 'completed', 'failed', 'cancelled')),
  cluster_id text,
  step_id text,
  intent_at timestamptz not null,
  -- When a submission was last about to be sent whose answer is yes or unknown.
  sent_at timestamptz,
  submitted_at timestamptz,
  ended_at timestamptz,
  reason text,
  log_tail text,
  -- Of the step, as its cluster tells.
  seconds double precision,
  -- In the currency of the prices in the settings; null without prices.
  cost double precision,
  primary key (pipeline, window_key, branch, generation, stage, round),
  foreign key (pipeline, window_key, branch, generation) references almanac.run,
  check ((ended_at is null) = (state in ('intended', 'submitted', 'running')))
);
create index effect_open on almanac.effect (intent_at) where ended_at is null;
