-- One row per pixel and segment that share a qualifying user. The index compares the segment's share of its group among
-- the pixel's users with its share everywhere; the Wilson interval (z = 1.959964) of the first share is scaled the same way.
with totals as (
  select measure, pixel_id, segment_id, segment_group, cast(sum(users) as bigint) as users
  from overlap_counts
  group by measure, pixel_id, segment_id, segment_group
),
counted as (
  select
    segment_pixel.pixel_id,
    segment_pixel.segment_id,
    segment_pixel.segment_group,
    segment_pixel.users as users_segment_pixel,
    group_pixel.users as users_group_pixel,
    segment.users as users_segment,
    whole_group.users as users_group,
    cast(segment_pixel.users as double) / group_pixel.users as share,
    cast(group_pixel.users as double) as n,
    cast(100 as double) * whole_group.users / segment.users as scale,
    cast(1.959964 as double) * cast(1.959964 as double) as z2
  from totals as segment_pixel
  join totals as group_pixel
    on group_pixel.measure = 'group_pixel'
    and group_pixel.pixel_id = segment_pixel.pixel_id
    and group_pixel.segment_group = segment_pixel.segment_group
  join totals as segment
    on segment.measure = 'segment' and segment.segment_id = segment_pixel.segment_id
  join totals as whole_group
    on whole_group.measure = 'group' and whole_group.segment_group = segment_pixel.segment_group
  where segment_pixel.measure = 'segment_pixel'
),
bounded as (
  select
    *,
    (share + z2 / (2 * n)) / (1 + z2 / n) as middle,
    sqrt(z2 * (share * (1 - share) + z2 / (4 * n)) / n) / (1 + z2 / n) as reach
  from counted
)
select
  pixel_id,
  segment_id,
  segment_group,
  users_segment_pixel,
  users_group_pixel,
  users_segment,
  users_group,
  scale * share as "index",
  scale * (middle - reach) as index_low,
  scale * (middle + reach) as index_high,
  $as_of as as_of
from bounded
