-- One row a channel, day, country and system: the one inserted last, of two at once the one with the larger digest.
-- Weeks after the window are ignored: an extract taken later may hold them. Engines write a number in words of their own, so
-- the digest is told its whole part and its billionths; of what still is at once the larger value counts.
with told as (
  select
    *,
    case
      when value is null then ''
      when abs(value) < cast(1000000000000000 as double) then concat(
        cast(cast(floor(value) as bigint) as string),
        '.',
        cast(cast(floor((value - floor(value)) * cast(1000000000 as double)) as bigint) as string)
      )
      else 'large'
    end as value_text
  from acquisitions
  where start_date < cast($window_end as date)
),
ranked as (
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
        md5(concat_ws('|', name, value_text, cast(start_date as string), coalesce(cast(end_date as string), ''),
          coalesce(year_week, ''), coalesce(cast(has_subtrackers as string), ''), coalesce(token, ''), country, os_name)) desc,
        value desc nulls last
    ) as place
  from told
)
select name, start_date, country, os_name, value
from ranked
where place = 1
