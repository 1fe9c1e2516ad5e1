-- A promoted backfill publishes windows again: which it set out to, on record before the run of each is started.
create table almanac.backfill_publishing (
  hash text not null references almanac.backfill on delete cascade,
  window_key text not null,
  -- A run of a later generation is that of the backfill, or as good.
  after_generation int not null,
  primary key (hash, window_key)
);
