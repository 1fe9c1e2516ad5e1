-- Weeks of a country that have no share, found the other way round: from the number of weeks between the first and the last.
with digits as (
  select d from (values (0), (1), (2), (3), (4), (5), (6), (7), (8), (9)) as digit (d)
),
numbers as (
  select ones.d + 10 * tens.d + 100 * hundreds.d + 1000 * thousands.d as n
  from digits as ones
  cross join digits as tens
  cross join digits as hundreds
  cross join digits as thousands
),
edges as (
  select max(monday) as last_monday, cast(floor(cast(max(monday) - min(monday) as int) / 7) as int) as weeks_between from weekly
),
expected as (
  select
    cast(edges.last_monday - numbers.n * interval '7' day + interval '3' day as date) as thursday,
    countries.country
  from edges
  join numbers on numbers.n <= edges.weeks_between
  cross join (select distinct country from weekly) as countries
),
named as (
  select
    cast(year(thursday) as int) as year,
    cast(floor((dayofyear(thursday) + 6) / 7) as int) as week,
    country
  from expected
)
select named.year, named.week, named.country
from named
where not exists (
  select 1
  from organic_share
  where organic_share.year = named.year and organic_share.week = named.week and organic_share.country = named.country
)
