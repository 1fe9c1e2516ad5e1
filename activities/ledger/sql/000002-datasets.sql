-- The catalog of the object store: a read model that `almanac dataset reindex` rebuilds wholly from manifests and accepted sets.

create table almanac.dataset_version (
  dataset text not null,
  window_key text not null,
  version text not null,
  digest text not null,
  pipeline text not null,
  branch text not null,
  generation int not null,
  stage text not null,
  stage_hash text not null,
  rows bigint not null,
  bytes bigint not null,
  files int not null,
  rows_in bigint not null,
  bootstrap boolean not null,
  written_at timestamptz not null,
  primary key (dataset, window_key, version)
);
create index dataset_version_by_time on almanac.dataset_version (dataset, window_key desc, written_at desc);

-- Which versions a version was computed from.
create table almanac.version_input (
  dataset text not null,
  window_key text not null,
  version text not null,
  input_dataset text not null,
  input_window text not null,
  input_version text not null,
  primary key (dataset, window_key, version, input_dataset, input_window, input_version)
);
create index version_input_by_input on almanac.version_input (input_dataset, input_window, input_version);

-- The current set of a window; `sequence` is the number of its newest entry, `since` of the one that set its versions.
create table almanac.accepted_set (
  pipeline text not null,
  branch text not null,
  window_key text not null,
  sequence int not null,
  since int not null,
  generation int not null,
  gates jsonb not null,
  bootstrap boolean not null,
  origin boolean not null,
  tainted boolean not null,
  accepted_at timestamptz not null,
  primary key (pipeline, branch, window_key)
);

create table almanac.accepted_version (
  pipeline text not null,
  branch text not null,
  window_key text not null,
  dataset text not null,
  -- The window of the version itself: a set may carry one from another window.
  version_window text not null,
  version text not null,
  primary key (pipeline, branch, window_key, dataset),
  foreign key (pipeline, branch, window_key) references almanac.accepted_set on delete cascade
);
create index accepted_version_by_version on almanac.accepted_version (dataset, version_window, version);

-- Rows put aside by ingest, by reason.
create table almanac.quarantine (
  dataset text not null,
  window_key text not null,
  version text not null,
  reason text not null,
  rows bigint not null,
  primary key (dataset, window_key, version, reason),
  foreign key (dataset, window_key, version) references almanac.dataset_version on delete cascade
);

-- Where a quarantined or accepted version's rows came from: landing sources and reference files.
create table almanac.version_source (
  dataset text not null,
  window_key text not null,
  version text not null,
  source text not null,
  primary key (dataset, window_key, version, source),
  foreign key (dataset, window_key, version) references almanac.dataset_version on delete cascade
);

-- Objects that `dataset gc` found unused; those that still are unused at a later collection are deleted.
create table almanac.gc_mark (
  path text primary key,
  marked_at timestamptz not null
);
