-- Why a build that does not know the migration cannot work with the schema after it; null when it can.
alter table almanac.migration add column breaking text;
