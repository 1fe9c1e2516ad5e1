-- Every week from the first to the last that holds data, for every country: a week without users is a week, or four rows
-- would not be four weeks. Weeks are counted by their Mondays, so neither a new year nor a 53rd week interrupts the order.
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
  select min(monday) as first_monday, max(monday) as last_monday from weekly
),
weeks as (
  select cast(edges.first_monday + numbers.n * interval '7' day as date) as monday
  from edges
  join numbers on edges.first_monday + numbers.n * interval '7' day <= edges.last_monday
),
countries as (
  select distinct country from weekly
),
filled as (
  select
    weeks.monday,
    countries.country,
    coalesce(weekly.organic, 0) as organic,
    coalesce(weekly.other, 0) as other
  from weeks
  cross join countries
  left join weekly on weekly.monday = weeks.monday and weekly.country = countries.country
),
rolled as (
  select
    monday,
    country,
    sum(organic) over (partition by country order by monday rows between 3 preceding and current row) as organic,
    sum(other) over (partition by country order by monday rows between 3 preceding and current row) as other
  from filled
)
select
  cast(year(monday + interval '3' day) as int) as year,
  cast(floor((dayofyear(monday + interval '3' day) + 6) / 7) as int) as week,
  country,
  case when organic + other <> 0 then organic / (organic + other) end as share_organic_p4w
from rolled
