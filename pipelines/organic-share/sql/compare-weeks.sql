-- The newest share of each country, its level (the median of the eight weeks before it) and how many times their spread it lies
-- off: the drift of gates, but for two things. Countries come out of the data, so that nobody can declare a metric of each; and an
-- extract tells every week anew, so that weeks are compared as it has them now, not as earlier windows had accepted them. The spread
-- is 1.4826 times the median distance from the level, widened for so few weeks, and 0.02 at least: few users make even shares jump.
with ranked as (
  select year, week, country, share_organic_p4w as share, row_number() over (partition by country order by year desc, week desc) as place
  from organic_share
),
levels as (
  select country, median(share) as level, count(share) as weeks
  from ranked
  where place between 2 and 9
  group by country
),
spreads as (
  select ranked.country, median(abs(ranked.share - levels.level)) as spread
  from ranked
  join levels on levels.country = ranked.country
  where ranked.place between 2 and 9
  group by ranked.country
)
select
  ranked.country,
  ranked.year,
  ranked.week,
  ranked.share,
  levels.level,
  coalesce(levels.weeks, cast(0 as bigint)) as weeks,
  abs(ranked.share - levels.level) / greatest(1.4826 * spreads.spread * sqrt(levels.weeks / greatest(levels.weeks - 1.0, 1.0)), 0.02) as score
from ranked
left join levels on levels.country = ranked.country
left join spreads on spreads.country = ranked.country
where ranked.place = 1
