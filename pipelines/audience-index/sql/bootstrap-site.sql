-- The visits at the end of the day, computed in one scan of all fires instead of from yesterday's state.
-- `fires` holds every accepted row up to the end of the day, each from the partition of its own day. A row starts anew
-- when it is the first of its key or comes more than 30 days after the one before; the last such start is the one at hand.
with ordered as (
  select
    user_id,
    pixel_id,
    ts,
    lag(ts) over (partition by user_id, pixel_id order by ts) as before_ts
  from fires
  where ts < $window_end
)
select
  user_id,
  pixel_id,
  max(case when before_ts is null or ts > before_ts + interval '30' day then ts end) as first_fired_at,
  max(ts) as last_fired_at
from ordered
group by user_id, pixel_id
having max(ts) >= $window_end - interval '30' day
