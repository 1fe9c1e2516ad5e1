-- Events that count from this window on. One counts from the first window that ends after its time and by which it has
-- landed; of copies of one id the one that counted first does so for good, of two at once the lesser row. So windows that go
-- on from each other, whichever they are, count what one look at everything would.
with due as (
  select event, customer, track, ts, mobile, greatest(landed_on, cast(ts as date)) as counts_from
  from tracks
  where ts < $window_end
  union all
  select event, customer, track, ts, mobile, cast(ts as date) as counts_from
  from waiting
  where ts < $window_end
),
fresh as (
  select event, customer, track, ts, mobile, counts_from
  from due
  where not exists (select 1 from counted where due.event between counted.first_event and counted.last_event)
),
ranked as (
  select event, customer, track, ts, mobile, row_number() over (partition by event order by counts_from, ts, customer, track, mobile) as place
  from fresh
)
select event, customer, track, ts, mobile
from ranked
where place = 1
