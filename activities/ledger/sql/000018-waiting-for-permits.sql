-- How long an attempt waited for permits, over all its looks: neither its patience nor its tries pay for that.
alter table almanac.attempt add column permit_wait_ms double precision not null default 0;

-- Since when a stage whose turn came waits for a place of its worker; it has no permits meanwhile.
alter table almanac.lease add column place_since timestamptz;
