-- A stage that waits for data is one attempt, taken up again at each poll; between polls it holds no worker.
-- safe for the build before: the states it knows stay; it shows one it does not know as it is.
alter table almanac.attempt drop constraint attempt_state_check;
alter table almanac.attempt add constraint attempt_state_check
  check (state in ('running', 'waiting', 'succeeded', 'failed', 'cancelled', 'lost', 'skipped', 'carried'));
alter table almanac.attempt add column waiting_since timestamptz;
alter table almanac.attempt add column waits_until timestamptz;
-- How often it looked and found nothing.
alter table almanac.attempt add column polls int not null default 0;
