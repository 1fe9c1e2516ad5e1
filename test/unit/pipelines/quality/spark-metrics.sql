-- completeness(note) where price > 0
select count(*) as `rows`,
  count(*) filter (where `counted 0`) as a0,
  count(*) filter (where `failing 0`) as a1
from (select `orders`.*,
  (coalesce((price > 0
), false) and (`note` is null)) as `failing 0`,
  coalesce((price > 0
), false) as `counted 0`
from `orders`)

-- columns-completeness(note, price, mode: any)
select count(*) as `rows`,
  count(*) filter (where true) as a0,
  count(*) filter (where `failing 0`) as a1
from (select `orders`.*,
  (`note` is null and `price` is null) as `failing 0`
from `orders`)

-- compliance(price > 0 -- or free, nulls: ignore)
select count(*) as `rows`,
  count(*) filter (where `counted 0`) as a0,
  count(*) filter (where `failing 0`) as a1
from (select `orders`.*,
  (not coalesce((price > 0 -- or free
), true)) as `failing 0`,
  ((price > 0 -- or free
) is not null) as `counted 0`
from `orders`)

-- pattern-match(note, patterns: ["^\\d+'s$","b"], match: all, not: true)
select count(*) as `rows`,
  count(*) filter (where true) as a0,
  count(*) filter (where `failing 0`) as a1
from (select `orders`.*,
  (not coalesce((not (`note` rlike '(?:^)[0-9]+\'s(?:\\z)' and `note` rlike 'b')), false)) as `failing 0`
from `orders`)

-- pattern-match(note, patterns: ["100\\%_"], syntax: like)
select count(*) as `rows`,
  count(*) filter (where true) as a0,
  count(*) filter (where `failing 0`) as a1
from (select `orders`.*,
  (not coalesce((`note` like '100\\\\%_'), false)) as `failing 0`
from `orders`)

-- pattern-match(note, patterns: email)
select count(*) as `rows`,
  count(*) filter (where true) as a0,
  count(*) filter (where `failing 0`) as a1
from (select `orders`.*,
  (not coalesce(`note` rlike '[a-z0-9!#\\$%\\&\'\\*\\+/=\\?\\^_`\\{\\|\\}~\\-]+(?:\\.[a-z0-9!#\\$%\\&\'\\*\\+/=\\?\\^_`\\{\\|\\}~\\-]+)*@(?:[a-z0-9](?:[a-z0-9\\-]*[a-z0-9])?\\.)+[a-z0-9](?:[a-z0-9\\-]*[a-z0-9])?', false)) as `failing 0`
from `orders`)

-- contained-in(note, values: ["it's","b"])
select count(*) as `rows`,
  count(*) filter (where true) as a0,
  count(*) filter (where `failing 0`) as a1
from (select `orders`.*,
  (not coalesce((`note` in ('it\'s', 'b')), true)) as `failing 0`
from `orders`)

-- within(price, min: 0, below: 10.5)
select count(*) as `rows`,
  count(*) filter (where true) as a0,
  count(*) filter (where `failing 0`) as a1
from (select `orders`.*,
  (not coalesce((`price` >= 0 and `price` < 10.5), true)) as `failing 0`
from `orders`)

-- within(at, min: 2026-01-01T00:00:00Z)
select count(*) as `rows`,
  count(*) filter (where true) as a0,
  count(*) filter (where `failing 0`) as a1
from (select `orders`.*,
  (not coalesce((`at` >= timestamp '2026-01-01T00:00:00Z'), true)) as `failing 0`
from `orders`)

-- length-within(note, min: 1, max: 5)
select count(*) as `rows`,
  count(*) filter (where `counted 0`) as a0,
  count(*) filter (where `failing 0`) as a1
from (select `orders`.*,
  (not coalesce((length(`note`) >= 1 and length(`note`) <= 5), true)) as `failing 0`,
  ((length(`note`) >= 1 and length(`note`) <= 5) is not null) as `counted 0`
from `orders`)

-- contained-in-tuples(id, note, tuples: [[1,"a"],[2,null]], nulls: ignore)
select count(*) as `rows`,
  count(*) filter (where `counted 0`) as a0,
  count(*) filter (where `failing 0`) as a1
from (select `orders`.*,
  (not (`id` is null or `note` is null) and not ((coalesce(`id` = 1, false) and coalesce(`note` = 'a', false)) or (coalesce(`id` = 2, false) and `note` is null))) as `failing 0`,
  (not (`id` is null or `note` is null)) as `counted 0`
from `orders`)

-- increasing(price, orderBy: ["at"], strictly: true)
select count(*) as `rows`,
  count(*) filter (where `counted 0`) as a0,
  count(*) filter (where `failing 0`) as a1
from (select `orders`.*,
  (`price` is not null and not coalesce(nullif(`price`, cast('NaN' as double)) > lag(nullif(`price`, cast('NaN' as double))) ignore nulls over (order by `at` nulls last), nullif(`price`, cast('NaN' as double)) is not null)) as `failing 0`,
  (`price` is not null) as `counted 0`
from `orders`)

-- decreasing(id, orderBy: ["at","id"]) where price > 0
select count(*) as `rows`,
  count(*) filter (where `counted 0`) as a0,
  count(*) filter (where `failing 0`) as a1
from (select `orders`.*,
  (coalesce((price > 0
), false) and ((case when coalesce((price > 0
), false) then `id` end) is not null and not coalesce((case when coalesce((price > 0
), false) then `id` end) <= lag((case when coalesce((price > 0
), false) then `id` end)) ignore nulls over (order by `at` nulls last, `id` nulls last), (case when coalesce((price > 0
), false) then `id` end) is not null))) as `failing 0`,
  (coalesce((price > 0
), false) and ((case when coalesce((price > 0
), false) then `id` end) is not null)) as `counted 0`
from `orders`)

-- z-score-within(price, limit: 3, doubleSided: true)
select count(*) as `rows`,
  count(*) filter (where `counted 0`) as a0,
  count(*) filter (where `failing 0`) as a1
from (select `orders`.*,
  (`price` is not null and not coalesce(abs((nullif(`price`, cast('NaN' as double)) - avg(nullif(`price`, cast('NaN' as double))) over ()) / nullif(case when stddev_samp(nullif(`price`, cast('NaN' as double))) over () < cast('Infinity' as double) then stddev_samp(nullif(`price`, cast('NaN' as double))) over () when stddev_samp(nullif(`price`, cast('NaN' as double))) over () is not null then raise_error('the deviation is no number') end, 0)) < 3, nullif(`price`, cast('NaN' as double)) is not null)) as `failing 0`,
  (`price` is not null) as `counted 0`
from `orders`)

-- parseable(note, as: date)
select count(*) as `rows`,
  count(*) filter (where `counted 0`) as a0,
  count(*) filter (where `failing 0`) as a1
from (select `orders`.*,
  (not coalesce((case when `note` is not null then (cast(`note` as string) rlike '(?:^)[0-9]{4,5}\\-[0-9]{1,2}\\-[0-9]{1,2}(?:\\z)' and try_cast(cast(`note` as string) as date) is not null) end), true)) as `failing 0`,
  ((case when `note` is not null then (cast(`note` as string) rlike '(?:^)[0-9]{4,5}\\-[0-9]{1,2}\\-[0-9]{1,2}(?:\\z)' and try_cast(cast(`note` as string) as date) is not null) end) is not null) as `counted 0`
from `orders`)

-- parseable(note, as: json)
select count(*) as `rows`,
  count(*) filter (where `counted 0`) as a0,
  count(*) filter (where `failing 0`) as a1
from (select `orders`.*,
  (not coalesce((case when `note` is not null then (trim(`note`) <> '' and get_json_object(concat('[', `note`, ']'), '$') is not null and get_json_object(concat('{"v":', `note`, '}'), '$') is not null and not regexp_replace(`note`, '"[^"\\\\\\x00-\\x1f]*(?:\\\\["\\\\/bfnrtu][^"\\\\\\x00-\\x1f]*)*"', '0') rlike '["\']|(?:[Nn][Aa][Nn]|[Ii][Nn][Ff])|,[\\x{9}-\\x{a}\\x{c}-\\x{d} ]*[\\]\\}]') end), true)) as `failing 0`,
  ((case when `note` is not null then (trim(`note`) <> '' and get_json_object(concat('[', `note`, ']'), '$') is not null and get_json_object(concat('{"v":', `note`, '}'), '$') is not null and not regexp_replace(`note`, '"[^"\\\\\\x00-\\x1f]*(?:\\\\["\\\\/bfnrtu][^"\\\\\\x00-\\x1f]*)*"', '0') rlike '["\']|(?:[Nn][Aa][Nn]|[Ii][Nn][Ff])|,[\\x{9}-\\x{a}\\x{c}-\\x{d} ]*[\\]\\}]') end) is not null) as `counted 0`
from `orders`)

-- parseable(note, as: date, format: %d/%m/%Y o'clock %H%M)
select count(*) as `rows`,
  count(*) filter (where `counted 0`) as a0,
  count(*) filter (where `failing 0`) as a1
from (select `orders`.*,
  (not coalesce((case when `note` is not null then (`note` rlike '(?:^)(?:0?[1-9]|[12][0-9]|3[01])/(?:0?[1-9]|1[0-2])/[1-9][0-9]{3} o\'clock (?:[01][0-9]|2[0-3])[0-5][0-9](?:\\z)' and try_to_timestamp(`note`, 'd\'/\'M\'/\'yyyy\' o\'\'clock \'HHmm') is not null) end), true)) as `failing 0`,
  ((case when `note` is not null then (`note` rlike '(?:^)(?:0?[1-9]|[12][0-9]|3[01])/(?:0?[1-9]|1[0-2])/[1-9][0-9]{3} o\'clock (?:[01][0-9]|2[0-3])[0-5][0-9](?:\\z)' and try_to_timestamp(`note`, 'd\'/\'M\'/\'yyyy\' o\'\'clock \'HHmm') is not null) end) is not null) as `counted 0`
from `orders`)

-- distinct-within-row(price, paid)
select count(*) as `rows`,
  count(*) filter (where `counted 0`) as a0,
  count(*) filter (where `failing 0`) as a1
from (select `orders`.*,
  ((not (`price` is null and `paid` is null)) and (`price` is not distinct from `paid`)) as `failing 0`,
  (not (`price` is null and `paid` is null)) as `counted 0`
from `orders`)

-- size where price > 0
select count(*) as `rows`,
  count(*) filter (where (price > 0
)) as a0
from `orders`

-- minimum(price)
select count(*) as `rows`,
  count(*) as a0,
  cast(min(`price`) as double) as a1,
  cast(max(`price`) as double) as a2
from `orders`

-- maximum(price) where id > 1
select count(*) as `rows`,
  count(*) filter (where (id > 1
)) as a0,
  cast(min(`price`) filter (where (id > 1
)) as double) as a1,
  cast(max(`price`) filter (where (id > 1
)) as double) as a2
from `orders`

-- range(price)
select count(*) as `rows`,
  count(*) as a0,
  cast(min(`price`) as double) as a1,
  cast(max(`price`) as double) as a2
from `orders`

-- mean(price) where id > 1
select count(*) as `rows`,
  count(*) filter (where (id > 1
)) as a0,
  count(case when (id > 1
) then `price` end) as a1,
  cast(sum(case when (id > 1
) then `price` end * 1BD) as double) as a2
from `orders`

-- sum(price)
select count(*) as `rows`,
  count(*) as a0,
  count(`price`) as a1,
  cast(sum(`price` * 1BD) as double) as a2
from `orders`

-- variance(price)
select count(*) as `rows`,
  count(*) as a0,
  count(`price`) as a1,
  cast(sum(`price` * 1BD) as double) as a2,
  var_pop(`price`) as a3
from `orders`

-- standard-deviation(price)
select count(*) as `rows`,
  count(*) as a0,
  count(`price`) as a1,
  cast(sum(`price` * 1BD) as double) as a2,
  var_pop(`price`) as a3
from `orders`

-- sample-standard-deviation(price)
select count(*) as `rows`,
  count(*) as a0,
  count(`price`) as a1,
  cast(sum(`price` * 1BD) as double) as a2,
  var_pop(`price`) as a3
from `orders`

-- skewness(price)
select count(*) as `rows`,
  count(*) as a0,
  count(`price`) as a1,
  cast(sum(`price` * 1BD) as double) as a2,
  var_pop(`price`) as a3,
  case when var_pop(`price`) > 0 then skewness(`price`) when count(`price`) > 0 then 0.0 end as a4
from `orders`

-- kurtosis(price)
select count(*) as `rows`,
  count(*) as a0,
  count(`price`) as a1,
  cast(sum(`price` * 1BD) as double) as a2,
  var_pop(`price`) as a3,
  case when var_pop(`price`) > 0 then skewness(`price`) when count(`price`) > 0 then 0.0 end as a4,
  case when var_pop(`price`) > 0 then kurtosis(`price`) when count(`price`) > 0 then 0.0 end as a5
from `orders`

-- zeros-count(price)
select count(*) as `rows`,
  count(*) as a0,
  count(*) filter (where `price` = 0) as a1
from `orders`

-- median(price)
select count(*) as `rows`,
  count(*) as a0,
  percentile(`price`, 0.5) as a1
from `orders`

-- interquartile-range(price)
select count(*) as `rows`,
  count(*) as a0,
  percentile(`price`, 0.75) as a1,
  percentile(`price`, 0.25) as a2
from `orders`

-- exact-quantile(price, quantile: 0.95) where id > 1
select count(*) as `rows`,
  count(*) filter (where (id > 1
)) as a0,
  percentile(`price`, 0.95) filter (where (id > 1
)) as a1
from `orders`

-- min-length(note, nulls: fail)
select count(*) as `rows`,
  count(*) as a0,
  min(coalesce(cast(length(`note`) as double), cast('-1.7976931348623157e+308' as double))) as a1,
  max(coalesce(cast(length(`note`) as double), cast('-1.7976931348623157e+308' as double))) as a2
from `orders`

-- max-length(note, nulls: empty)
select count(*) as `rows`,
  count(*) as a0,
  min(length(coalesce(`note`, ''))) as a1,
  max(length(coalesce(`note`, ''))) as a2
from `orders`

-- data-type(note, type: integral)
select count(*) as `rows`,
  count(*) as a0,
  count(cast(`note` as string)) as a1,
  count(*) filter (where cast(`note` as string) rlike '(?:^)[\\-\\+]? ?(?:[0-9]+\\.[0-9]*|\\.[0-9]+|[0-9]+(?:\\.[0-9]+)?[eE][\\-\\+]?[0-9]+)(?:\\z)') as a2,
  count(*) filter (where cast(`note` as string) rlike '(?:^)[\\-\\+]? ?[0-9]+(?:\\z)') as a3,
  count(*) filter (where cast(`note` as string) rlike '(?:^)(?:true|false)(?:\\z)') as a4
from `orders`

-- ratio-of-sums(numerator: paid, denominator: price)
select count(*) as `rows`,
  count(*) as a0,
  cast(sum(`paid` * 1BD) as double) as a1,
  cast(sum(`price` * 1BD) as double) as a2
from `orders`

-- correlation(price, paid)
select count(*) as `rows`,
  count(*) as a0,
  regr_count(cast(`paid` as double), cast(`price` as double)) as a1,
  regr_avgx(cast(`paid` as double), cast(`price` as double)) as a2,
  regr_avgy(cast(`paid` as double), cast(`price` as double)) as a3,
  regr_sxx(cast(`paid` as double), cast(`price` as double)) as a4,
  regr_syy(cast(`paid` as double), cast(`price` as double)) as a5,
  covar_pop(cast(`paid` as double), cast(`price` as double)) as a6
from `orders`

-- freshness(at)
select count(*) as `rows`,
  count(*) as a0,
  (unix_micros(cast(max(`at`) as timestamp)) / 1e6) as a1
from `orders`

-- uniqueness(id, note)
with grouped as (select k1, k2, count(*) as n
from (select `id` as k1, `note` as k2 from `orders` as narrowed) as keyed group by k1, k2),
told as (select concat_ws('\u001f', coalesce(cast(k1 as string), '\u001e'), coalesce(cast(k2 as string), '\u001e')) as v, n from grouped order by n desc, v limit 1000)
select coalesce(sum(n), 0) as g_rows,
  coalesce(sum(n), 0) as g_weight,
  count(*) as g_all,
  count(*) filter (where not (k1 is null and k2 is null)) as g_groups,
  coalesce(sum(n) filter (where not (k1 is null and k2 is null)), 0) as g_counted,
  count(*) filter (where n = 1 and not (k1 is null and k2 is null)) as g_single,
  coalesce(sum(n - 1), 0) as g_repeats,
  coalesce(sum(n) filter (where n > 1), 0) as g_in_repeats,
  coalesce(sum(case when (k1 is null or k2 is null) then n else n - 1 end), 0) as g_key_faults,
  coalesce(sum(case when n > 0 then n * ln(n) end) filter (where not (k1 is null and k2 is null)), 0) as g_weighted,
  (select array_sort(collect_list(named_struct('v', v, 'n', n)), (l, r) -> case when l.n > r.n then -1 when l.n < r.n then 1 when l.v < r.v then -1 when l.v > r.v then 1 else 0 end) from told) as g_top
from grouped

-- distinctness(note)
with grouped as (select k1, count(*) as n
from (select `note` as k1 from `orders` as narrowed) as keyed group by k1),
told as (select coalesce(cast(k1 as string), '\u001e') as v, n from grouped order by n desc, v limit 1000)
select coalesce(sum(n), 0) as g_rows,
  coalesce(sum(n), 0) as g_weight,
  count(*) as g_all,
  count(*) filter (where not (k1 is null)) as g_groups,
  coalesce(sum(n) filter (where not (k1 is null)), 0) as g_counted,
  count(*) filter (where n = 1 and not (k1 is null)) as g_single,
  coalesce(sum(n - 1), 0) as g_repeats,
  coalesce(sum(n) filter (where n > 1), 0) as g_in_repeats,
  coalesce(sum(case when (k1 is null) then n else n - 1 end), 0) as g_key_faults,
  coalesce(sum(case when n > 0 then n * ln(n) end) filter (where not (k1 is null)), 0) as g_weighted,
  (select array_sort(collect_list(named_struct('v', v, 'n', n)), (l, r) -> case when l.n > r.n then -1 when l.n < r.n then 1 when l.v < r.v then -1 when l.v > r.v then 1 else 0 end) from told) as g_top
from grouped

-- unique-value-ratio(note)
with grouped as (select k1, count(*) as n
from (select `note` as k1 from `orders` as narrowed) as keyed group by k1),
told as (select coalesce(cast(k1 as string), '\u001e') as v, n from grouped order by n desc, v limit 1000)
select coalesce(sum(n), 0) as g_rows,
  coalesce(sum(n), 0) as g_weight,
  count(*) as g_all,
  count(*) filter (where not (k1 is null)) as g_groups,
  coalesce(sum(n) filter (where not (k1 is null)), 0) as g_counted,
  count(*) filter (where n = 1 and not (k1 is null)) as g_single,
  coalesce(sum(n - 1), 0) as g_repeats,
  coalesce(sum(n) filter (where n > 1), 0) as g_in_repeats,
  coalesce(sum(case when (k1 is null) then n else n - 1 end), 0) as g_key_faults,
  coalesce(sum(case when n > 0 then n * ln(n) end) filter (where not (k1 is null)), 0) as g_weighted,
  (select array_sort(collect_list(named_struct('v', v, 'n', n)), (l, r) -> case when l.n > r.n then -1 when l.n < r.n then 1 when l.v < r.v then -1 when l.v > r.v then 1 else 0 end) from told) as g_top
from grouped

-- count-distinct(note)
with grouped as (select k1, count(*) as n
from (select `note` as k1 from `orders` as narrowed) as keyed group by k1),
told as (select coalesce(cast(k1 as string), '\u001e') as v, n from grouped order by n desc, v limit 1000)
select coalesce(sum(n), 0) as g_rows,
  coalesce(sum(n), 0) as g_weight,
  count(*) as g_all,
  count(*) filter (where not (k1 is null)) as g_groups,
  coalesce(sum(n) filter (where not (k1 is null)), 0) as g_counted,
  count(*) filter (where n = 1 and not (k1 is null)) as g_single,
  coalesce(sum(n - 1), 0) as g_repeats,
  coalesce(sum(n) filter (where n > 1), 0) as g_in_repeats,
  coalesce(sum(case when (k1 is null) then n else n - 1 end), 0) as g_key_faults,
  coalesce(sum(case when n > 0 then n * ln(n) end) filter (where not (k1 is null)), 0) as g_weighted,
  (select array_sort(collect_list(named_struct('v', v, 'n', n)), (l, r) -> case when l.n > r.n then -1 when l.n < r.n then 1 when l.v < r.v then -1 when l.v > r.v then 1 else 0 end) from told) as g_top
from grouped

-- primary-key(id)
with grouped as (select k1, count(*) as n
from (select `id` as k1 from `orders` as narrowed) as keyed group by k1),
told as (select coalesce(cast(k1 as string), '\u001e') as v, n from grouped order by n desc, v limit 1000)
select coalesce(sum(n), 0) as g_rows,
  coalesce(sum(n), 0) as g_weight,
  count(*) as g_all,
  count(*) filter (where not (k1 is null)) as g_groups,
  coalesce(sum(n) filter (where not (k1 is null)), 0) as g_counted,
  count(*) filter (where n = 1 and not (k1 is null)) as g_single,
  coalesce(sum(n - 1), 0) as g_repeats,
  coalesce(sum(n) filter (where n > 1), 0) as g_in_repeats,
  coalesce(sum(case when (k1 is null) then n else n - 1 end), 0) as g_key_faults,
  coalesce(sum(case when n > 0 then n * ln(n) end) filter (where not (k1 is null)), 0) as g_weighted,
  (select array_sort(collect_list(named_struct('v', v, 'n', n)), (l, r) -> case when l.n > r.n then -1 when l.n < r.n then 1 when l.v < r.v then -1 when l.v > r.v then 1 else 0 end) from told) as g_top
from grouped

-- duplicate-row-count()
with grouped as (select k1, k2, k3, k4, k5, count(*) as n
from (select `id` as k1, `price` as k2, `paid` as k3, `note` as k4, `at` as k5 from `orders` as narrowed) as keyed group by k1, k2, k3, k4, k5),
told as (select concat_ws('\u001f', coalesce(cast(k1 as string), '\u001e'), coalesce(transform(array(k2), x -> case when x is null then null when isnan(x) then 'nan' when x = cast('Infinity' as double) then 'inf' when x = cast('-Infinity' as double) then '-inf' else concat(case when cast(x as string) like '-%' then '-' else '' end, transform(array(format_string('%.16e', abs(x))), f -> transform(array(transform(array(format_string(concat('%.', cast(greatest(length(regexp_replace(substring_index(f, 'e', 1), '[.]|0+$', '')) - 2, 0) as string), 'e'), abs(x))), g -> case when cast(g as double) = abs(x) then g else f end)[0]), s -> transform(array(regexp_replace(replace(substring_index(s, 'e', 1), '.', ''), '(?<=.)0+$', '')), d -> transform(array(cast(substring_index(s, 'e', -1) as int)), e -> case when e between 0 and 15 then concat(rpad(left(d, e + 1), e + 1, '0'), '.', case when length(d) > e + 1 then substr(d, e + 2) else '0' end) when e between -4 and -1 then concat('0.', repeat('0', -e - 1), d) else concat(left(d, 1), case when length(d) > 1 then concat('.', substr(d, 2)) else '' end, 'e', case when e < 0 then '-' else '+' end, lpad(cast(abs(e) as string), greatest(2, length(cast(abs(e) as string))), '0')) end)[0])[0])[0])[0]) end)[0], '\u001e'), coalesce(transform(array(k3), x -> case when x is null then null when isnan(x) then 'nan' when x = cast('Infinity' as double) then 'inf' when x = cast('-Infinity' as double) then '-inf' else concat(case when cast(x as string) like '-%' then '-' else '' end, transform(array(format_string('%.16e', abs(x))), f -> transform(array(transform(array(format_string(concat('%.', cast(greatest(length(regexp_replace(substring_index(f, 'e', 1), '[.]|0+$', '')) - 2, 0) as string), 'e'), abs(x))), g -> case when cast(g as double) = abs(x) then g else f end)[0]), s -> transform(array(regexp_replace(replace(substring_index(s, 'e', 1), '.', ''), '(?<=.)0+$', '')), d -> transform(array(cast(substring_index(s, 'e', -1) as int)), e -> case when e between 0 and 15 then concat(rpad(left(d, e + 1), e + 1, '0'), '.', case when length(d) > e + 1 then substr(d, e + 2) else '0' end) when e between -4 and -1 then concat('0.', repeat('0', -e - 1), d) else concat(left(d, 1), case when length(d) > 1 then concat('.', substr(d, 2)) else '' end, 'e', case when e < 0 then '-' else '+' end, lpad(cast(abs(e) as string), greatest(2, length(cast(abs(e) as string))), '0')) end)[0])[0])[0])[0]) end)[0], '\u001e'), coalesce(cast(k4 as string), '\u001e'), coalesce(cast(k5 as string), '\u001e')) as v, n from grouped order by n desc, v limit 1000)
select coalesce(sum(n), 0) as g_rows,
  coalesce(sum(n), 0) as g_weight,
  count(*) as g_all,
  count(*) filter (where not (k1 is null and k2 is null and k3 is null and k4 is null and k5 is null)) as g_groups,
  coalesce(sum(n) filter (where not (k1 is null and k2 is null and k3 is null and k4 is null and k5 is null)), 0) as g_counted,
  count(*) filter (where n = 1 and not (k1 is null and k2 is null and k3 is null and k4 is null and k5 is null)) as g_single,
  coalesce(sum(n - 1), 0) as g_repeats,
  coalesce(sum(n) filter (where n > 1), 0) as g_in_repeats,
  coalesce(sum(case when (k1 is null or k2 is null or k3 is null or k4 is null or k5 is null) then n else n - 1 end), 0) as g_key_faults,
  coalesce(sum(case when n > 0 then n * ln(n) end) filter (where not (k1 is null and k2 is null and k3 is null and k4 is null and k5 is null)), 0) as g_weighted,
  (select array_sort(collect_list(named_struct('v', v, 'n', n)), (l, r) -> case when l.n > r.n then -1 when l.n < r.n then 1 when l.v < r.v then -1 when l.v > r.v then 1 else 0 end) from told) as g_top
from grouped

-- entropy(note) where id > 1
with grouped as (select k1, count(*) as n
from (select `note` as k1 from (select * from `orders` as `orders` where (id > 1
)) as narrowed) as keyed group by k1),
told as (select coalesce(cast(k1 as string), '\u001e') as v, n from grouped order by n desc, v limit 1000)
select coalesce(sum(n), 0) as g_rows,
  coalesce(sum(n), 0) as g_weight,
  count(*) as g_all,
  count(*) filter (where not (k1 is null)) as g_groups,
  coalesce(sum(n) filter (where not (k1 is null)), 0) as g_counted,
  count(*) filter (where n = 1 and not (k1 is null)) as g_single,
  coalesce(sum(n - 1), 0) as g_repeats,
  coalesce(sum(n) filter (where n > 1), 0) as g_in_repeats,
  coalesce(sum(case when (k1 is null) then n else n - 1 end), 0) as g_key_faults,
  coalesce(sum(case when n > 0 then n * ln(n) end) filter (where not (k1 is null)), 0) as g_weighted,
  (select array_sort(collect_list(named_struct('v', v, 'n', n)), (l, r) -> case when l.n > r.n then -1 when l.n < r.n then 1 when l.v < r.v then -1 when l.v > r.v then 1 else 0 end) from told) as g_top
from grouped

-- mutual-information(note, id)
select coalesce(max(total), 0) as m_rows, sum((n * 1e0 / total) * ln((n * 1e0 * total) / (nx * 1e0 * ny))) filter (where x is not null and y is not null) as m_value from (select x, y, n, sum(n) over (partition by x) as nx, sum(n) over (partition by y) as ny, sum(n) over () as total from (select `note` as x, `id` as y, count(*) as n from `orders` as narrowed
where `note` is not null or `id` is not null group by `note`, `id`) as pairs) as margins

-- histogram(note, sumOf: price)
with grouped as (select k1, sum(w * 1BD) as n, count(*) as c
from (select `note` as k1, `price` as w from `orders` as narrowed) as keyed group by k1),
told as (select coalesce(cast(k1 as string), '\u001e') as v, n from grouped order by n desc, v limit 1000)
select coalesce(sum(c), 0) as g_rows,
  coalesce(sum(n), 0) as g_weight,
  count(*) as g_all,
  count(*) filter (where not (k1 is null)) as g_groups,
  coalesce(sum(n) filter (where not (k1 is null)), 0) as g_counted,
  count(*) filter (where n = 1 and not (k1 is null)) as g_single,
  coalesce(sum(n - 1), 0) as g_repeats,
  coalesce(sum(n) filter (where n > 1), 0) as g_in_repeats,
  coalesce(sum(case when (k1 is null) then n else n - 1 end), 0) as g_key_faults,
  coalesce(sum(case when n > 0 then n * ln(n) end) filter (where not (k1 is null)), 0) as g_weighted,
  (select array_sort(collect_list(named_struct('v', v, 'n', n)), (l, r) -> case when l.n > r.n then -1 when l.n < r.n then 1 when l.v < r.v then -1 when l.v > r.v then 1 else 0 end) from told) as g_top
from grouped

-- distinct-values(note, values: ["a","b"], relation: equals)
with grouped as (select k1, count(*) as n
from (select `note` as k1 from `orders` as narrowed) as keyed group by k1),
told as (select coalesce(cast(k1 as string), '\u001e') as v, n from grouped order by n desc, v limit 1000)
select coalesce(sum(n), 0) as g_rows,
  coalesce(sum(n), 0) as g_weight,
  count(*) as g_all,
  count(*) filter (where not (k1 is null)) as g_groups,
  coalesce(sum(n) filter (where not (k1 is null)), 0) as g_counted,
  count(*) filter (where n = 1 and not (k1 is null)) as g_single,
  coalesce(sum(n - 1), 0) as g_repeats,
  coalesce(sum(n) filter (where n > 1), 0) as g_in_repeats,
  coalesce(sum(case when (k1 is null) then n else n - 1 end), 0) as g_key_faults,
  coalesce(sum(case when n > 0 then n * ln(n) end) filter (where not (k1 is null)), 0) as g_weighted,
  (select array_sort(collect_list(named_struct('v', v, 'n', n)), (l, r) -> case when l.n > r.n then -1 when l.n < r.n then 1 when l.v < r.v then -1 when l.v > r.v then 1 else 0 end) from told) as g_top,
  count(*) filter (where k1 is not null and k1 in ('a', 'b')) as o0_0,
  count(*) filter (where k1 is not null and not (k1 in ('a', 'b'))) as o0_1
from grouped

-- most-common(note, values: ["a"])
with grouped as (select k1, count(*) as n
from (select `note` as k1 from `orders` as narrowed) as keyed group by k1),
told as (select coalesce(cast(k1 as string), '\u001e') as v, n from grouped order by n desc, v limit 1000)
select coalesce(sum(n), 0) as g_rows,
  coalesce(sum(n), 0) as g_weight,
  count(*) as g_all,
  count(*) filter (where not (k1 is null)) as g_groups,
  coalesce(sum(n) filter (where not (k1 is null)), 0) as g_counted,
  count(*) filter (where n = 1 and not (k1 is null)) as g_single,
  coalesce(sum(n - 1), 0) as g_repeats,
  coalesce(sum(n) filter (where n > 1), 0) as g_in_repeats,
  coalesce(sum(case when (k1 is null) then n else n - 1 end), 0) as g_key_faults,
  coalesce(sum(case when n > 0 then n * ln(n) end) filter (where not (k1 is null)), 0) as g_weighted,
  (select array_sort(collect_list(named_struct('v', v, 'n', n)), (l, r) -> case when l.n > r.n then -1 when l.n < r.n then 1 when l.v < r.v then -1 when l.v > r.v then 1 else 0 end) from told) as g_top
from grouped

-- distribution-distance(note, expected: {"values":["a","b"],"weights":[0.5,0.5]}, method: l-infinity)
with grouped as (select k1, count(*) as n
from (select `note` as k1 from `orders` as narrowed) as keyed group by k1),
told as (select coalesce(cast(k1 as string), '\u001e') as v, n from grouped order by n desc, v limit 1000)
select coalesce(sum(n), 0) as g_rows,
  coalesce(sum(n), 0) as g_weight,
  count(*) as g_all,
  count(*) filter (where not (k1 is null)) as g_groups,
  coalesce(sum(n) filter (where not (k1 is null)), 0) as g_counted,
  count(*) filter (where n = 1 and not (k1 is null)) as g_single,
  coalesce(sum(n - 1), 0) as g_repeats,
  coalesce(sum(n) filter (where n > 1), 0) as g_in_repeats,
  coalesce(sum(case when (k1 is null) then n else n - 1 end), 0) as g_key_faults,
  coalesce(sum(case when n > 0 then n * ln(n) end) filter (where not (k1 is null)), 0) as g_weighted,
  (select array_sort(collect_list(named_struct('v', v, 'n', n)), (l, r) -> case when l.n > r.n then -1 when l.n < r.n then 1 when l.v < r.v then -1 when l.v > r.v then 1 else 0 end) from told) as g_top,
  coalesce(count(*) filter (where k1 is not null and k1 not in ('a', 'b')), 0) as o0_0,
  coalesce(sum(n) filter (where k1 is not null and k1 not in ('a', 'b')), 0) as o0_1,
  coalesce(sum(n * ln(n)) filter (where k1 is not null and k1 not in ('a', 'b')), 0) as o0_2,
  coalesce(sum(n * 1e0 * n) filter (where k1 is not null and k1 not in ('a', 'b')), 0) as o0_3,
  coalesce(sum(n) filter (where k1 = 'a'), 0) as o0_4,
  coalesce(sum(n) filter (where k1 = 'b'), 0) as o0_5
from grouped

-- distribution-distance(price, expected: {"bins":[null,0,10,20],"weights":[0.2,0.5,0.3]}, method: psi)
with valued as (select cast((`price` + 0) as double) as x from `orders` as narrowed), extent as (select min(x) as lo, max(x) as hi from valued)
select count(*) as b_rows, count(*) - count(x) as b_nulls, max(lo) as b_lo, max(hi) as b_hi,
  count(*) filter (where x < 0) as b_below,
  count(*) filter (where x > 20) as b_above,
  count(*) filter (where x >= 0 and x < 10) as b0,
  count(*) filter (where x >= 10 and x <= 20) as b1
from valued cross join extent

-- sample-ratio-mismatch(note, expected: {"a":1,"b":1})
with grouped as (select k1, count(*) as n
from (select `note` as k1 from `orders` as narrowed) as keyed group by k1),
told as (select coalesce(cast(k1 as string), '\u001e') as v, n from grouped order by n desc, v limit 1000)
select coalesce(sum(n), 0) as g_rows,
  coalesce(sum(n), 0) as g_weight,
  count(*) as g_all,
  count(*) filter (where not (k1 is null)) as g_groups,
  coalesce(sum(n) filter (where not (k1 is null)), 0) as g_counted,
  count(*) filter (where n = 1 and not (k1 is null)) as g_single,
  coalesce(sum(n - 1), 0) as g_repeats,
  coalesce(sum(n) filter (where n > 1), 0) as g_in_repeats,
  coalesce(sum(case when (k1 is null) then n else n - 1 end), 0) as g_key_faults,
  coalesce(sum(case when n > 0 then n * ln(n) end) filter (where not (k1 is null)), 0) as g_weighted,
  (select array_sort(collect_list(named_struct('v', v, 'n', n)), (l, r) -> case when l.n > r.n then -1 when l.n < r.n then 1 when l.v < r.v then -1 when l.v > r.v then 1 else 0 end) from told) as g_top
from grouped

-- approx-count-distinct(id) where price > 0
select collect_list(named_struct('b', b, 't', t)) as registers from (select left(h, 3) as b, min(substr(h, 4, 12)) as t
from (select md5(cast(`id` as string)) as h from (select * from `orders` as `orders` where (price > 0
)) as narrowed where `id` is not null) as hashed group by left(h, 3)) as buckets

-- approx-quantile(price, quantile: 0.5)
select array_sort(collect_list(named_struct('i', cast(i as double), 'n', n, 'lo', lo, 'hi', hi)), (l, r) -> case when l.i < r.i then -1 when l.i > r.i then 1 else 0 end) as bins from (select case when abs(x) < 1e-12 then 0 when x > 0 then (ceil(ln(abs(x)) / 0.009950330853168092) + 2778) else -(ceil(ln(abs(x)) / 0.009950330853168092) + 2778) end as i, count(*) as n, min(x) as lo, max(x) as hi
from (select cast((`price` + 0) as double) as x from `orders` as narrowed where `price` is not null) as valued group by case when abs(x) < 1e-12 then 0 when x > 0 then (ceil(ln(abs(x)) / 0.009950330853168092) + 2778) else -(ceil(ln(abs(x)) / 0.009950330853168092) + 2778) end) as binned

-- histogram-binned(price, bins: 2)
with valued as (select cast((`price` + 0) as double) as x from `orders` as narrowed), extent as (select min(x) as lo, max(x) as hi from valued)
select count(*) as b_rows, count(*) - count(x) as b_nulls, max(lo) as b_lo, max(hi) as b_hi,
  count(*) filter (where x < (lo + (hi - lo) * 0 / 2.0)) as b_below,
  count(*) filter (where x > hi) as b_above,
  count(*) filter (where x >= (lo + (hi - lo) * 0 / 2.0) and x < (lo + (hi - lo) * 1 / 2.0)) as b0,
  count(*) filter (where x >= (lo + (hi - lo) * 1 / 2.0) and x <= hi) as b1
from valued cross join extent

-- histogram-binned(price, edges: [0,1,2], sumOf: paid)
with valued as (select cast((`price` + 0) as double) as x, `paid` as w from `orders` as narrowed), extent as (select min(x) as lo, max(x) as hi from valued)
select count(*) as b_rows, count(*) - count(x) as b_nulls, max(lo) as b_lo, max(hi) as b_hi,
  coalesce(sum(w * 1BD) filter (where x < 0), 0) as b_below,
  coalesce(sum(w * 1BD) filter (where x > 2), 0) as b_above,
  coalesce(sum(w * 1BD) filter (where x >= 0 and x < 1), 0) as b0,
  coalesce(sum(w * 1BD) filter (where x >= 1 and x <= 2), 0) as b1
from valued cross join extent

-- column-count
select count(*) as v0, 0 as t_rows from (select substring_index(c, ':', 1) as name, substr(c, instr(c, ':') + 1) as type from (select explode(split(substr(t, 8, length(t) - 8), ',(?=[^,:<>()]+:)')) as c from (select typeof(struct(v.*)) as t from (select 1 as one) as always left join `orders` as v on true limit 1) as typed) as listed) as described

-- schema-match(columns: {"id":"bigint","note":"text"})
select collect_list(named_struct('name', name, 'type', type)) as t_columns from (select substring_index(c, ':', 1) as name, substr(c, instr(c, ':') + 1) as type from (select explode(split(substr(t, 8, length(t) - 8), ',(?=[^,:<>()]+:)')) as c from (select typeof(struct(v.*)) as t from (select 1 as one) as always left join `orders` as v on true limit 1) as typed) as listed) as described

-- custom-sql(select max(id) from orders)
select cast((select max(id) from orders
) as double) as v0, (select count(*) from `orders`) as t_rows

-- unexpected-rows(select * from orders where price < 0)
select count(*) as v0, (select count(*) from `orders`) as t_rows from (select * from orders where price < 0
) as unexpected

-- referential-integrity(id, in: {"dataset":"before","columns":["id"]})
select count(*) as t_rows, count(*) filter (where found) as t_holds from (select exists (select 1 from `before` as referenced where referenced.`id` = narrowed.`id`) as found from `orders` as narrowed) as looked

-- row-count-match(dataset: before)
select case when a.n = b.n then 1e0 else a.n * 1e0 / nullif(b.n, 0) end as v0, a.n as t_rows from (select count(*) as n from `orders` as narrowed) as a cross join (select count(*) as n from `before`) as b

-- data-set-match(dataset: before, key: ["id"], compare: ["price"])
select coalesce(greatest(sum(mine), sum(theirs)), 0) as t_rows, coalesce(sum(least(mine, theirs)), 0) as t_holds
from (select sum(mine) as mine, sum(theirs) as theirs from (select `id` as k1, `price` as k2, 1 as mine, 0 as theirs from `orders` union all select `id` as k1, `price` as k2, 0 as mine, 1 as theirs from `before`) as sides group by k1, k2) as matched

-- conservation(previous: before, added: added, sumOf: price)
select cast(abs((select coalesce(sum(`price` * 1BD), 0) from `orders`) - (select coalesce(sum(`price` * 1BD), 0) from `before`) - (select coalesce(sum(`price` * 1BD), 0) from `added`)) as double) as v0, (select count(*) from `orders`) as t_rows
