-- Publications: what went live, from which accepted set, judged how, replacing what. The rows themselves are partitions in almanac_live.

create schema if not exists almanac_live;

create table almanac.publication (
  -- Also the number of its list partitions.
  id bigint generated always as identity primary key,
  pipeline text not null,
  branch text not null,
  window_key text not null,
  -- Orders windows of a pipeline whatever the spelling of their keys.
  window_end timestamptz not null,
  generation int not null,
  stage text not null,
  accepted_sequence int not null,
  -- Hash of tables and versions: with the run it is the identity of what is published.
  content text not null,
  gates jsonb not null,
  -- Table → version reference.
  versions jsonb not null,
  -- Table → columns, key, indexes as published.
  tables jsonb not null,
  -- Table → rows and checksum, as audited inside Postgres.
  audit jsonb,
  state text not null check (state in ('loading', 'loaded', 'attached', 'live', 'retired', 'withdrawn', 'superseded', 'collected', 'failed')),
  previous bigint references almanac.publication (id),
  attempt int not null,
  -- Changed by whoever takes the publication over: the one before is then refused.
  fence uuid not null,
  backend_pid int not null,
  -- Tells the publisher's session from a later one with the same pid.
  backend_start timestamptz not null,
  opened_at timestamptz not null,
  loaded_at timestamptz,
  attached_at timestamptz,
  flipped_at timestamptz,
  retired_at timestamptz,
  -- Transaction that took it from the readers: who cannot see it still reads this publication.
  retired_xid xid8,
  collected_at timestamptz
);
create unique index publication_by_content on almanac.publication (pipeline, branch, window_key, generation, stage, content) where state <> 'failed';
create index publication_by_state on almanac.publication (pipeline, state, id desc);

-- The pointer every live view reads; null until the first flip.
create table almanac.live (
  pipeline text primary key,
  publication bigint references almanac.publication (id),
  changed_at timestamptz not null
);

-- Which pipeline owns which live name, and where its view lies.
create table almanac.live_table (
  name text primary key,
  pipeline text not null,
  view_schema text not null
);

create table almanac.publication_event (
  id bigint generated always as identity primary key,
  at timestamptz not null,
  publication bigint not null references almanac.publication (id),
  event text not null check (event in ('opened', 'adopted', 'loaded', 'attached', 'flipped', 'retired', 'superseded', 'restored', 'withdrawn', 'failed', 'collected')),
  who text not null,
  reason text,
  detail jsonb not null default '{}'
);
create index publication_event_by_publication on almanac.publication_event (publication, id);
