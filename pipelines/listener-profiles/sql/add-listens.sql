-- Plays so far and the new ones. Night is before 5 and from 22 on, morning until 12, afternoon until 17, evening until 22.
with added as (
  select
    customer,
    track,
    cast(1 as bigint) as plays,
    cast(case when hour(ts) < 5 or hour(ts) >= 22 then 1 else 0 end as bigint) as night,
    cast(case when hour(ts) between 5 and 11 then 1 else 0 end as bigint) as morning,
    cast(case when hour(ts) between 12 and 16 then 1 else 0 end as bigint) as afternoon,
    cast(case when hour(ts) between 17 and 21 then 1 else 0 end as bigint) as evening,
    cast(case when mobile then 1 else 0 end as bigint) as mobile
  from new_plays
  union all
  select customer, track, plays, night, morning, afternoon, evening, mobile from listens
)
select
  customer,
  track,
  cast(sum(plays) as bigint) as plays,
  cast(sum(night) as bigint) as night,
  cast(sum(morning) as bigint) as morning,
  cast(sum(afternoon) as bigint) as afternoon,
  cast(sum(evening) as bigint) as evening,
  cast(sum(mobile) as bigint) as mobile
from added
group by customer, track
