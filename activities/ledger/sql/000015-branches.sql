-- Branches: the ledger's copy of the heads in the store, one row a branch that was ever forked.
-- safe for the build before: the states it knows stay; it drives no backfill on a branch.

create table almanac.chain_branch (
  pipeline text not null,
  branch text not null,
  -- Its first window; before it the branch reads `main`.
  from_window text collate "C" not null,
  state text not null check (state in ('open', 'promoted', 'discarded')),
  -- Number of the head that brought it into this state.
  head int not null,
  changed_at timestamptz not null,
  primary key (pipeline, branch)
);

alter table almanac.backfill
  -- Null for one that builds in place.
  add column branch text,
  drop constraint backfill_state_check,
  add constraint backfill_state_check check
    (state in ('planned', 'running', 'pausing', 'paused', 'halted', 'built', 'publishing', 'cancelling', 'quiesced', 'discarded', 'done'));

drop trigger backfill_noted on almanac.backfill;
create trigger backfill_noted after update on almanac.backfill for each row
  when (new.state in ('built', 'done', 'halted', 'quiesced') and old.state <> new.state) execute function almanac.note_backfill();
