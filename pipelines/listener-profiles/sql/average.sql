-- Over customers with plays, as Spark MLlib's colStats: the variance is that of a sample, and 0 of a single customer.
-- It is taken of whole numbers: rounded once, it does not depend on the order of the rows, and every engine comes to the same digits.
with measured as (
  select 'unique_tracks' as metric, cast(unique_tracks as decimal(18, 0)) as value from customer_plays
  union all
  select 'night' as metric, cast(night as decimal(18, 0)) as value from customer_plays
  union all
  select 'morning' as metric, cast(morning as decimal(18, 0)) as value from customer_plays
  union all
  select 'afternoon' as metric, cast(afternoon as decimal(18, 0)) as value from customer_plays
  union all
  select 'evening' as metric, cast(evening as decimal(18, 0)) as value from customer_plays
  union all
  select 'mobile' as metric, cast(mobile as decimal(18, 0)) as value from customer_plays
)
select
  metric,
  avg(cast(value as double)) as mean,
  case
    when count(*) = 1 then cast(0 as double)
    else cast(count(*) * sum(value * value) - sum(value) * sum(value) as double) / (cast(count(*) as double) * (count(*) - 1))
  end as variance,
  cast(min(value) as double) as min,
  cast(max(value) as double) as max,
  count(case when value <> 0 then 1 end) as non_zeros,
  count(*) as count
from measured
group by metric
