-- Distinct users of each bucket: per pixel and segment, per pixel and group, per segment, per group and per pixel.
-- Spark counts all buckets at once and DuckDB one after another, so here each row's bucket is named: the first byte of the md5
-- of the user, modulo the number of buckets of `udb` and `site`. A user qualifies for a pixel by a segment entered strictly
-- before the first visit, and by a group when any of its segments qualifies, that is when the earliest does.
with memberships as (
  select
    udb.user_id,
    cast(conv(substr(md5(cast(udb.user_id as binary)), 1, 2), 16, 10) as int) % 8 as bucket,
    udb.segment_id,
    coalesce(segments.segment_group, '(unknown)') as segment_group,
    udb.first_added_at
  from udb
  left join segments on udb.segment_id = segments.segment_id
),
group_memberships as (
  select user_id, bucket, segment_group, min(first_added_at) as first_added_at
  from memberships
  group by user_id, bucket, segment_group
)
select
  'segment_pixel' as measure,
  site.pixel_id,
  memberships.segment_id,
  memberships.segment_group,
  count(*) as users
from memberships
join site on site.user_id = memberships.user_id and memberships.first_added_at < site.first_fired_at
group by memberships.bucket, site.pixel_id, memberships.segment_id, memberships.segment_group
union all
select
  'group_pixel' as measure,
  site.pixel_id,
  cast(null as bigint) as segment_id,
  group_memberships.segment_group,
  count(*) as users
from group_memberships
join site on site.user_id = group_memberships.user_id and group_memberships.first_added_at < site.first_fired_at
group by group_memberships.bucket, site.pixel_id, group_memberships.segment_group
union all
select 'segment' as measure, cast(null as bigint) as pixel_id, segment_id, segment_group, count(*) as users
from memberships
group by bucket, segment_id, segment_group
union all
select
  'group' as measure,
  cast(null as bigint) as pixel_id,
  cast(null as bigint) as segment_id,
  segment_group,
  count(*) as users
from group_memberships
group by bucket, segment_group
union all
select
  'pixel' as measure,
  pixel_id,
  cast(null as bigint) as segment_id,
  cast(null as string) as segment_group,
  count(*) as users
from site
group by cast(conv(substr(md5(cast(user_id as binary)), 1, 2), 16, 10) as int) % 8, pixel_id
