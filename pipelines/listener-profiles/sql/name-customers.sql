select
  customer_plays.customer,
  customers.name,
  customers.gender,
  customers.level,
  customers.campaign,
  customer_plays.unique_tracks,
  customer_plays.night,
  customer_plays.morning,
  customer_plays.afternoon,
  customer_plays.evening,
  customer_plays.mobile
from customer_plays
left join customers on customers.customer = customer_plays.customer
