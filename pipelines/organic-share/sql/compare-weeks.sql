-- The newest share of each country, its level (the median of the eight weeks before it) and how many times their spread it lies
-- off: the drift of gates, but for two things. Countries come out of the data, so that nobody can declare a metric of each; and an
-- extract tells every week anew, so that weeks are compared as it has them now, not as earlier windows had accepted them. The spread
-- is 1.4826 times the median distance from the level, widened for so few weeks, and 0.02 at least: few users make even shares jump.
with ranked as (
  select year, week, country, share_organic_p4w as share, row_number() over (partition by country order by year desc, week desc) as place
  from organic_share
),
recent as (
  select
    country,
    share,
    row_number() over (partition by country order by share) as nth,
    count(*) over (partition by country) as weeks
  from ranked
  where place between 2 and 9 and share is not null
),
-- The median is the mean of the middle two, or of the middle one: what engines call median differs in its last digit.
levels as (
  select country, avg(share) as level, max(weeks) as weeks
  from recent
  where 2 * nth between weeks and weeks + 2
  group by country
),
distances as (
  select
    recent.country,
    abs(recent.share - levels.level) as distance,
    row_number() over (partition by recent.country order by abs(recent.share - levels.level)) as nth,
    recent.weeks
  from recent
  join levels on levels.country = recent.country
),
spreads as (
  select country, avg(distance) as spread
  from distances
  where 2 * nth between weeks and weeks + 2
  group by country
)
select
  ranked.country,
  ranked.year,
  ranked.week,
  ranked.share,
  levels.level,
  coalesce(levels.weeks, cast(0 as bigint)) as weeks,
  abs(ranked.share - levels.level) / greatest(
    cast(1.4826 as double) * spreads.spread * sqrt(cast(levels.weeks as double) / greatest(levels.weeks - 1, 1)),
    cast(0.02 as double)
  ) as score
from ranked
left join levels on levels.country = ranked.country
left join spreads on spreads.country = ranked.country
where ranked.place = 1
