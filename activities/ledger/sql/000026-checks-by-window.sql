-- What the metrics ask at every scrape: the newest windows that were judged, and the newest one that is accepted. By code point, whatever the locale.
create index check_result_by_window on almanac.check_result (pipeline, branch, (window_key collate "C"));
create index accepted_set_by_window on almanac.accepted_set (pipeline, branch, (window_key collate "C"));
