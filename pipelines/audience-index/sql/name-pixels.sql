-- The reference, and every pixel in the state that it does not know.
with seen as (
  select distinct pixel_id from overlap_counts where measure = 'pixel'
)
select
  coalesce(pixels.pixel_id, seen.pixel_id) as pixel_id,
  coalesce(pixels.pixel_name, concat('(unknown ', cast(coalesce(pixels.pixel_id, seen.pixel_id) as string), ')')) as pixel_name,
  coalesce(pixels.advertiser, '(unknown)') as advertiser
from pixels
full outer join seen on pixels.pixel_id = seen.pixel_id
