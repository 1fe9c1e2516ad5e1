-- The visits at the end of the day: yesterday's, the day's fires, less what lapsed 30 days after its last fire.
-- Fires of one day are never more than 30 days apart, so a day's first and last instant are all its visits need:
-- the first decides whether the old visit goes on (at most 30 days after the last one), the last carries it forward.
with day as (
  select user_id, pixel_id, min(ts) as first_ts, max(ts) as last_ts
  from fires
  group by user_id, pixel_id
),
joined as (
  select
    coalesce(day.user_id, state.user_id) as user_id,
    coalesce(day.pixel_id, state.pixel_id) as pixel_id,
    case
      when day.first_ts is null then state.first_fired_at
      when day.first_ts <= state.last_fired_at + interval '30' day then state.first_fired_at
      else day.first_ts
    end as first_fired_at,
    coalesce(day.last_ts, state.last_fired_at) as last_fired_at
  from site as state
  full outer join day on state.user_id = day.user_id and state.pixel_id = day.pixel_id
)
select user_id, pixel_id, first_fired_at, last_fired_at
from joined
where last_fired_at >= $window_end - interval '30' day
