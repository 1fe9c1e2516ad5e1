-- The memberships at the end of the day: yesterday's, the day's adds, less what lapsed 30 days after its last add.
-- Adds of one day are never more than 30 days apart, so a day's first and last instant are all its memberships need:
-- the first decides whether the old membership goes on (at most 30 days after the last one), the last carries it forward.
with day as (
  select user_id, segment_id, min(ts) as first_ts, max(ts) as last_ts
  from adds
  group by user_id, segment_id
),
joined as (
  select
    coalesce(day.user_id, state.user_id) as user_id,
    coalesce(day.segment_id, state.segment_id) as segment_id,
    case
      when day.first_ts is null then state.first_added_at
      when day.first_ts <= state.last_added_at + interval '30' day then state.first_added_at
      else day.first_ts
    end as first_added_at,
    coalesce(day.last_ts, state.last_added_at) as last_added_at
  from udb as state
  full outer join day on state.user_id = day.user_id and state.segment_id = day.segment_id
)
select user_id, segment_id, first_added_at, last_added_at
from joined
where last_added_at >= $window_end - interval '30' day
