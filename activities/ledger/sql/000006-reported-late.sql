-- An attempt declared lost that ended by its own report after all: its child went back to its worker and computes for others.
alter table almanac.attempt add column reported_late boolean not null default false;
