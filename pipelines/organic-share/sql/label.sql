-- What the gate names when a label is unknown or coupled to more than one other. An empty token or flag is one more value of it.
select
  'name' as kind,
  name as label,
  count(distinct coalesce(token, '')) as tokens,
  count(distinct coalesce(cast(has_subtrackers as string), '')) as subtracker_values,
  cast(1 as bigint) as names,
  concat(
    'tokens ', min(coalesce(token, '(none)')), case when count(distinct coalesce(token, '')) > 1 then concat(' to ', max(coalesce(token, '(none)'))) else '' end,
    ', has_subtrackers ', min(coalesce(cast(has_subtrackers as string), '(none)')),
    case when count(distinct coalesce(cast(has_subtrackers as string), '')) > 1 then concat(' and ', max(coalesce(cast(has_subtrackers as string), '(none)'))) else '' end
  ) as coupled
from acquisitions
group by name
union all
select
  'token' as kind,
  token as label,
  cast(1 as bigint) as tokens,
  count(distinct coalesce(cast(has_subtrackers as string), '')) as subtracker_values,
  count(distinct name) as names,
  concat('names ', min(name), case when count(distinct name) > 1 then concat(' to ', max(name)) else '' end) as coupled
from acquisitions
where token is not null
group by token
union all
select
  'country' as kind,
  country as label,
  cast(1 as bigint) as tokens,
  cast(1 as bigint) as subtracker_values,
  count(distinct name) as names,
  concat(cast(count(*) as string), ' rows') as coupled
from acquisitions
group by country
union all
select
  'extract' as kind,
  cast(extract_date as string) as label,
  cast(1 as bigint) as tokens,
  cast(1 as bigint) as subtracker_values,
  count(distinct name) as names,
  case when extract_date >= cast($window_start as date) then 'of this week' else 'older than the week' end as coupled
from acquisitions
group by extract_date
