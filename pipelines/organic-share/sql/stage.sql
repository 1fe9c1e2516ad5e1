-- One row a channel, day, country and system: the one inserted last, of two at once the one with the larger digest.
-- Weeks after the window are ignored: an extract taken later may hold them.
with ranked as (
  select
    name,
    start_date,
    country,
    os_name,
    coalesce(value, 0) as value,
    row_number() over (
      partition by name, start_date, country, os_name
      order by
        dataplatform_inserted_at desc nulls last,
        md5(concat_ws('|', name, coalesce(cast(value as string), ''), cast(start_date as string), coalesce(cast(end_date as string), ''),
          coalesce(year_week, ''), coalesce(cast(has_subtrackers as string), ''), coalesce(token, ''), country, os_name)) desc
    ) as place
  from acquisitions
  where start_date < cast($window_end as date)
)
select name, start_date, country, os_name, value
from ranked
where place = 1
