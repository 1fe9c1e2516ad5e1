select
  customer,
  cast(sum(plays) as bigint) as plays,
  count(*) as unique_tracks,
  cast(sum(night) as bigint) as night,
  cast(sum(morning) as bigint) as morning,
  cast(sum(afternoon) as bigint) as afternoon,
  cast(sum(evening) as bigint) as evening,
  cast(sum(mobile) as bigint) as mobile
from listens
group by customer
