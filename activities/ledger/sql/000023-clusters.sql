-- Clusters that runs made for themselves.
create table almanac.emr_cluster (
  pipeline text not null,
  window_key text not null,
  branch text not null,
  generation int not null,
  -- From 1; the next one is made when the one before is over and a stage needs one.
  number int not null,
  name text not null unique,
  cluster_id text,
  intent_at timestamptz not null,
  sent_at timestamptz,
  ended_at timestamptz,
  reason text,
  primary key (pipeline, window_key, branch, generation, number),
  foreign key (pipeline, window_key, branch, generation) references almanac.run
);
create index emr_cluster_open on almanac.emr_cluster (intent_at) where ended_at is null;
