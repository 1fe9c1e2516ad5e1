-- The memberships at the end of the day, computed in one scan of all adds instead of from yesterday's state.
-- `adds` holds every accepted row up to the end of the day, each from the partition of its own day. A row starts anew
-- when it is the first of its key or comes more than 30 days after the one before; the last such start is the one at hand.
with ordered as (
  select
    user_id,
    segment_id,
    ts,
    lag(ts) over (partition by user_id, segment_id order by ts) as before_ts
  from adds
  where ts < $window_end
)
select
  user_id,
  segment_id,
  max(case when before_ts is null or ts > before_ts + interval '30' day then ts end) as first_added_at,
  max(ts) as last_added_at
from ordered
group by user_id, segment_id
having max(ts) >= $window_end - interval '30' day
