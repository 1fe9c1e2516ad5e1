-- The digest of an input as it was read, so that what was built on it can be judged after the input itself was collected.
alter table almanac.version_input add column input_digest text;
update almanac.version_input i set input_digest = v.digest from almanac.dataset_version v
  where (v.dataset, v.window_key, v.version) = (i.input_dataset, i.input_window, i.input_version);
