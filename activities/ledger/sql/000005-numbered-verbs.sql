-- Holds and plans of a run are numbered by its execution, so that the order in which they reach the ledger decides nothing.
alter table almanac.run
  -- The newest hold on record, and the newest hold that a verb ended.
  add column hold int not null default 0,
  add column woken int not null default 0,
  -- How many times a verb changed the plan.
  add column plan_number int not null default 0,
  -- A pinned version belongs to an accepted set that is tainted.
  add column pins_tainted boolean not null default false;

-- A verb for an open run is on record before it is sent.
alter table almanac.action
  add column state text not null default 'done' check (state in ('intended', 'done', 'refused'));
