-- The same plays counted in four ways, and the customers in two.
select
  (select cast(coalesce(sum(last_event - first_event + 1), 0) as bigint) from counted) as events,
  (select cast(coalesce(sum(plays), 0) as bigint) from listens) as plays,
  (select cast(coalesce(sum(plays), 0) as bigint) from customer_plays) as profiled,
  (select cast(coalesce(sum(night + morning + afternoon + evening), 0) as bigint) from customer_plays) as parts,
  (select count(*) from customer_plays) as customers,
  (select count(*) from listener_profiles) as profiles
