-- Quality: what check stages measured (facts about versions) and what they judged (opinions of one attempt).

create table almanac.check_metric (
  pipeline text not null,
  branch text not null,
  -- Windows are compared as text, by code point, whatever the database's locale.
  window_key text collate "C" not null,
  dataset text not null,
  metric text not null,
  -- Hash of the metric's declaration: another predicate is another metric.
  params_hash text not null,
  version text not null,
  -- The metric in words, such as null-count(pixel_id).
  label text not null,
  params jsonb not null,
  value double precision not null,
  -- Rows of the dataset; for a quarantine ratio, rows read.
  row_count bigint not null,
  -- Who measured it last.
  generation int not null,
  stage text not null,
  measured_at timestamptz not null,
  -- Set by the acceptance of the window; baselines are accepted values only.
  accepted boolean not null default false,
  primary key (pipeline, branch, dataset, metric, params_hash, window_key, version)
);
create index check_metric_by_dataset on almanac.check_metric (dataset, metric, window_key);

create table almanac.check_result (
  pipeline text not null,
  window_key text not null,
  branch text not null,
  generation int not null,
  stage text not null,
  attempt int not null,
  check_id text not null,
  dataset text not null,
  status text not null check (status in ('PASS', 'NO_HISTORY', 'WARN', 'FAIL', 'ERROR')),
  observed double precision,
  low double precision,
  high double precision,
  method text not null,
  n int,
  score double precision,
  failed_rows bigint,
  -- At most five failing rows, cut and masked.
  sample jsonb not null default '[]',
  message text not null,
  owner text,
  judged_at timestamptz not null,
  primary key (pipeline, window_key, branch, generation, stage, attempt, check_id)
);
