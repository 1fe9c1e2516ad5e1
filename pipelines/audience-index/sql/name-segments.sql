-- The reference, and every segment in the state that it does not know.
with seen as (
  select distinct segment_id from overlap_counts where measure = 'segment'
)
select
  coalesce(segments.segment_id, seen.segment_id) as segment_id,
  coalesce(segments.segment_name, concat('(unknown ', cast(coalesce(segments.segment_id, seen.segment_id) as string), ')')) as segment_name,
  coalesce(segments.segment_group, '(unknown)') as segment_group
from segments
full outer join seen on segments.segment_id = seen.segment_id
