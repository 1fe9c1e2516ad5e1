-- The aggregate over systems, of single countries: 'all' and 'ALL' are rows of sums in the extract.
select
  cast(date_trunc('week', start_date) as date) as monday,
  country,
  sum(case when name = 'Organic' then value else 0 end) as organic,
  sum(case when name = 'Organic' then 0 else value end) as other
from staged
where os_name = 'all' and country <> 'ALL'
group by cast(date_trunc('week', start_date) as date), country
