-- Distinct users of one bucket: per pixel and segment, per pixel and group, per segment, per group and per pixel.
-- A user lives in exactly one bucket, so the sums over buckets are exact. A user qualifies for a pixel by a segment
-- entered strictly before the first visit, and by a group when any of its segments qualifies, that is when the earliest does.
with memberships as (
  select
    udb.user_id,
    udb.segment_id,
    coalesce(segments.segment_group, '(unknown)') as segment_group,
    udb.first_added_at
  from udb
  left join segments on udb.segment_id = segments.segment_id
),
group_memberships as (
  select user_id, segment_group, min(first_added_at) as first_added_at
  from memberships
  group by user_id, segment_group
)
select
  'segment_pixel' as measure,
  site.pixel_id,
  memberships.segment_id,
  memberships.segment_group,
  count(*) as users
from memberships
join site on site.user_id = memberships.user_id and memberships.first_added_at < site.first_fired_at
group by site.pixel_id, memberships.segment_id, memberships.segment_group
union all
select
  'group_pixel' as measure,
  site.pixel_id,
  cast(null as bigint) as segment_id,
  group_memberships.segment_group,
  count(*) as users
from group_memberships
join site on site.user_id = group_memberships.user_id and group_memberships.first_added_at < site.first_fired_at
group by site.pixel_id, group_memberships.segment_group
union all
select 'segment' as measure, cast(null as bigint) as pixel_id, segment_id, segment_group, count(*) as users
from memberships
group by segment_id, segment_group
union all
select
  'group' as measure,
  cast(null as bigint) as pixel_id,
  cast(null as bigint) as segment_id,
  segment_group,
  count(*) as users
from group_memberships
group by segment_group
union all
select
  'pixel' as measure,
  pixel_id,
  cast(null as bigint) as segment_id,
  cast(null as string) as segment_group,
  count(*) as users
from site
group by pixel_id
