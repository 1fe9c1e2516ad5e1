-- Events that lie after the window wait for theirs.
select event, customer, track, ts, mobile
from tracks
where ts >= $window_end
union
select event, customer, track, ts, mobile
from waiting
where ts >= $window_end
