-- breaking: the build before accepts windows without naming the branch of the run, which is refused.
-- Generations count per branch: with the branch, that of a set names the run that accepted it. On `main` it is another one for a
-- window that was promoted.
alter table almanac.accepted_set add column run_branch text;
update almanac.accepted_set set run_branch = branch;
alter table almanac.accepted_set alter column run_branch set not null;
