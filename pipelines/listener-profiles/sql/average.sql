-- Over customers with plays, as Spark MLlib's colStats: the variance is that of a sample, and 0 of a single customer.
with measured as (
  select 'unique_tracks' as metric, unique_tracks as value from customer_plays
  union all
  select 'night' as metric, night as value from customer_plays
  union all
  select 'morning' as metric, morning as value from customer_plays
  union all
  select 'afternoon' as metric, afternoon as value from customer_plays
  union all
  select 'evening' as metric, evening as value from customer_plays
  union all
  select 'mobile' as metric, mobile as value from customer_plays
)
select
  metric,
  avg(cast(value as double)) as mean,
  coalesce(var_samp(cast(value as double)), cast(0 as double)) as variance,
  cast(min(value) as double) as min,
  cast(max(value) as double) as max,
  count(case when value <> 0 then 1 end) as non_zeros,
  count(*) as count
from measured
group by metric
