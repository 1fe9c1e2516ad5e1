-- How slots ended, counted as they end: it never goes down, also when a schedule and its slots are taken away.
create table almanac.slot_count (
  pipeline text not null,
  outcome text not null,
  slots bigint not null,
  primary key (pipeline, outcome)
);
insert into almanac.slot_count (pipeline, outcome, slots)
  select pipeline, outcome, count(*) from almanac.slot where outcome is not null group by 1, 2;

create function almanac.count_slots() returns trigger language plpgsql as $$
begin
  insert into almanac.slot_count as c (pipeline, outcome, slots)
    select a.pipeline, a.outcome, count(*) from after a join before b using (pipeline, nominal)
    where b.outcome is null and a.outcome is not null group by 1, 2 order by 1, 2
  on conflict (pipeline, outcome) do update set slots = c.slots + excluded.slots;
  return null;
end $$;
create trigger slot_counted after update on almanac.slot
  referencing old table as before new table as after for each statement execute function almanac.count_slots();

-- When the last run of a pipeline ended: until then a queued slot had reason to wait.
create index run_ended on almanac.run (pipeline, ended_at desc) where ended_at is not null;

-- When the tables of a slot's window must be published, and where that window ends; null without a deadline.
alter table almanac.slot add column publish_by timestamptz, add column window_end timestamptz;
create index slot_with_deadline on almanac.slot (publish_by) where publish_by is not null;

create table almanac.deadline (
  pipeline text not null,
  nominal text not null,
  window_key text not null,
  window_end timestamptz not null,
  due timestamptz not null,
  state text not null check (state in ('pending', 'at-risk', 'met', 'superseded', 'missed')),
  -- When it will be published as far as history tells: as usual, and nine times of ten.
  eta timestamptz,
  eta_late timestamptz,
  -- Unfinished stages of the critical path, first the one it is at.
  path text[] not null default '{}',
  reason text not null,
  -- First publication of the window, also when it came too late.
  published_at timestamptz,
  publication bigint references almanac.publication (id),
  looked_at timestamptz not null,
  settled_at timestamptz,
  primary key (pipeline, nominal),
  foreign key (pipeline, nominal) references almanac.slot on delete cascade
);
create index deadline_open on almanac.deadline (due) where state in ('pending', 'at-risk');
create index deadline_unpublished on almanac.deadline (pipeline, due) where state = 'missed' and published_at is null;
create index deadline_by_time on almanac.deadline (due desc);
create index publication_flipped on almanac.publication (pipeline, window_end, flipped_at) where flipped_at is not null;

-- The outbox: what people are to be told. Written with the change it tells of, so that neither is without the other.
create table almanac.notice (
  id bigint generated always as identity primary key,
  -- One event is told of once, however often it is written.
  key text not null unique,
  kind text not null check (kind in ('hold', 'failure', 'recovery', 'deadline-at-risk', 'deadline-missed', 'missed-slot', 'backfill-done')),
  at timestamptz not null,
  pipeline text not null,
  window_key text,
  branch text,
  generation int,
  detail jsonb not null default '{}'
);
create index notice_by_time on almanac.notice (at);

-- Hooks as configured, and since when: what happened before is not told to a new one.
create table almanac.notice_hook (
  name text primary key,
  since timestamptz not null
);

create table almanac.notice_delivery (
  notice bigint not null references almanac.notice on delete cascade,
  hook text not null,
  tries int not null default 0,
  -- Not before; while one sends, the end of its lease.
  next_at timestamptz not null,
  error text,
  state text not null default 'due' check (state in ('due', 'delivered', 'given-up')),
  ended_at timestamptz,
  primary key (notice, hook)
);
create index notice_delivery_due on almanac.notice_delivery (hook, next_at) where state = 'due';

create function almanac.note(key text, kind text, at timestamptz, pipeline text, window_key text, branch text, generation int, detail jsonb)
  returns void language sql as $$
  insert into almanac.notice (key, kind, at, pipeline, window_key, branch, generation, detail)
  values ($1, $2, $3, $4, $5, $6, $7, $8) on conflict (key) do nothing
$$;

create function almanac.note_run() returns trigger language plpgsql as $$
declare
  run text := new.pipeline || '/' || new.window_key || '~' || new.branch || '#' || new.generation;
begin
  if new.state = 'held' then
    perform almanac.note('hold ' || run || ' ' || new.hold, 'hold', new.changed_at, new.pipeline, new.window_key, new.branch, new.generation,
      jsonb_build_object('failure', new.failure));
  elsif new.state = 'succeeded' then
    if new.hold > 0 or exists (select from almanac.run r where r.pipeline = new.pipeline and r.window_key = new.window_key and r.branch = new.branch
        and r.generation = new.generation - 1 and r.state in ('abandoned', 'cancelled', 'lost')) then
      perform almanac.note('recovery ' || run, 'recovery', new.changed_at, new.pipeline, new.window_key, new.branch, new.generation, '{}');
    end if;
  else
    perform almanac.note('failure ' || run, 'failure', new.changed_at, new.pipeline, new.window_key, new.branch, new.generation,
      jsonb_build_object('state', new.state, 'failure', new.failure));
  end if;
  return null;
end $$;
create trigger run_noted after update on almanac.run for each row
  when (new.state in ('held', 'succeeded', 'abandoned', 'lost') and (old.state <> new.state or old.hold <> new.hold))
  execute function almanac.note_run();

create function almanac.note_slot() returns trigger language plpgsql as $$
begin
  perform almanac.note('missed-slot ' || new.pipeline || ' ' || new.nominal, 'missed-slot', new.settled_at, new.pipeline, new.window_key, 'main', null,
    jsonb_build_object('slot', new.nominal, 'at', new.at, 'reason', new.reason));
  return null;
end $$;
create trigger slot_noted after update on almanac.slot for each row
  when (new.outcome = 'missed' and old.outcome is null) execute function almanac.note_slot();

create function almanac.note_deadline() returns trigger language plpgsql as $$
begin
  perform almanac.note('deadline-' || new.state || ' ' || new.pipeline || ' ' || new.nominal, 'deadline-' || new.state, new.looked_at, new.pipeline,
    new.window_key, 'main', null,
    jsonb_build_object('slot', new.nominal, 'due', new.due, 'eta', new.eta, 'stage', new.path[1], 'reason', new.reason));
  return null;
end $$;
create trigger deadline_noted after update on almanac.deadline for each row
  when (new.state in ('at-risk', 'missed') and old.state <> new.state) execute function almanac.note_deadline();
create trigger deadline_noted_at_once after insert on almanac.deadline for each row
  when (new.state in ('at-risk', 'missed')) execute function almanac.note_deadline();

create function almanac.note_backfill() returns trigger language plpgsql as $$
begin
  perform almanac.note('backfill ' || new.hash || ' ' || new.state || ' ' || new.changed_at, 'backfill-done', new.changed_at, new.pipeline, null, null, null,
    jsonb_build_object('hash', new.hash, 'state', new.state, 'reason', new.reason));
  return null;
end $$;
create trigger backfill_noted after update on almanac.backfill for each row
  when (new.state in ('done', 'halted', 'quiesced') and old.state <> new.state) execute function almanac.note_backfill();
