-- Turns the invoice lines into the demo's landing data: the tables segments, pixels, segment_adds and pixel_fires.
-- A purchase line has a customer and a quantity above 0, and its invoice is no cancellation (C…).
create temp table purchases as
select
  "InvoiceNo" as invoice,
  "StockCode" as code,
  "Description" as description,
  cast("Quantity" as bigint) * cast("UnitPrice" as double) as amount,
  cast("InvoiceDate" as timestamp) as ts,
  cast(cast(cast("CustomerID" as double) as bigint) as varchar) as user_id,
  "Country" as country
from read_csv($archive, header = true, all_varchar = true)
where "CustomerID" is not null and cast("Quantity" as bigint) > 0 and not starts_with("InvoiceNo", 'C');

-- A product is known by its most frequent description. Its family is that of the first words that match: rank 1 words
-- decide wherever they stand; else the last rank 2 words before "with", "for" or "in", the head noun; else a motif, rank 3.
create temp table products as
with described as (
  select code, description, row_number() over (partition by code order by count(*) desc, description) as place
  from purchases
  group by code, description
),
words as (
  select
    code,
    trim(description) as pixel_name,
    ' ' || trim(regexp_replace(replace(upper(description), '''', ''), '[^A-Z0-9]+', ' ', 'g')) || ' ' as text
  from described
  where place = 1
),
heads as (
  select *, regexp_replace(text, '^(.+?) (WITH|W|FOR|IN) .*$', '\1 ') as head
  from words
),
matched as (
  select
    heads.code,
    families.family,
    row_number() over (
      partition by heads.code
      order by
        families.rank,
        strpos(if(families.rank = 1, text, head), ' ' || families.words || ' ') + length(families.words) desc,
        length(families.words) desc
    ) as place
  from heads
  join read_csv($families, header = true, columns = {words: 'varchar', family: 'varchar', rank: 'integer'}) as families
    on contains(if(families.rank = 1, text, head), ' ' || families.words || ' ')
)
select heads.code, heads.pixel_name, coalesce(matched.family, 'OTHER') as family
from heads
left join matched on matched.code = heads.code and matched.place = 1;

create temp table countries as
select country, 100 + row_number() over (order by country) as segment_id
from (select distinct country from purchases);

create temp table families as
select family, 200 + row_number() over (order by family) as segment_id
from (select distinct family from products);

create temp table baskets as
select invoice, case when sum(amount) < 100 then 401 when sum(amount) < 500 then 402 when sum(amount) < 1000 then 403 else 404 end as segment_id
from purchases
group by invoice;

create temp table segments as
select segment_id, country as segment_name, 'country' as segment_group from countries
union all
select segment_id, lower(family), 'product family' from families
union all
values
  (301, 'night (22 to 5)', 'time of day'),
  (302, 'morning (5 to 12)', 'time of day'),
  (303, 'afternoon (12 to 17)', 'time of day'),
  (304, 'evening (17 to 22)', 'time of day'),
  (401, 'below 100', 'basket size'),
  (402, 'from 100', 'basket size'),
  (403, 'from 500', 'basket size'),
  (404, 'from 1000', 'basket size');

-- The 300 products with most customers; what is no product (postage, manual entries) has no five digits in its code.
create temp table pixels as
select 1000 + row_number() over (order by count(distinct user_id) desc, code) as pixel_id, code, any_value(pixel_name) as pixel_name, any_value(lower(family)) as advertiser
from purchases
join products using (code)
where regexp_matches(code, '^[0-9]{5}')
group by code
order by count(distinct user_id) desc, code
limit 300;

create temp table segment_adds as
with lines as (
  select
    user_id,
    ts,
    [
      countries.segment_id,
      families.segment_id,
      case when hour(ts) < 5 or hour(ts) >= 22 then 301 when hour(ts) < 12 then 302 when hour(ts) < 17 then 303 else 304 end,
      baskets.segment_id
    ] as segment_ids
  from purchases
  join countries using (country)
  join products using (code)
  join families using (family)
  join baskets using (invoice)
)
select user_id, unnest(segment_ids) as segment_id, ts
from lines
order by ts;

create temp table pixel_fires as
select user_id, pixel_id, ts
from purchases
join pixels using (code)
order by ts;
