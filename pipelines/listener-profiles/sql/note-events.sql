-- The ids counted before and now, as ranges: one begins where the id before it is missing. No id is in two of them, so only
-- the last may be the largest of all, and none is counted on from it.
with pieces as (
  select first_event, last_event from counted
  union all
  select event as first_event, event as last_event from new_plays
),
marked as (
  select
    first_event,
    last_event,
    case when first_event = lag(last_event) over (order by first_event) + 1 then 0 else 1 end as starts
  from pieces
),
numbered as (
  select first_event, last_event, sum(starts) over (order by first_event rows between unbounded preceding and current row) as range_number
  from marked
)
select min(first_event) as first_event, max(last_event) as last_event
from numbered
group by range_number
