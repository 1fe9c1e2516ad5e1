-- What a metric is made of beside its value: for spans of windows that need no second scan, and for drift of distributions.
alter table almanac.check_metric add column state jsonb;
alter table almanac.check_metric add column detail jsonb;

-- Windows that are like no others: holidays, known incidents. They are nobody's baseline, and no drift is judged of them.
create table almanac.check_exclusion (
  id bigint generated always as identity primary key,
  pipeline text not null,
  -- Of one dataset only; null for all of the pipeline.
  dataset text,
  from_window text collate "C" not null,
  to_window text collate "C" not null,
  reason text not null,
  who text not null,
  created_at timestamptz not null,
  withdrawn_at timestamptz
);
create index check_exclusion_by_pipeline on almanac.check_exclusion (pipeline) where withdrawn_at is null;
