import { Gauge, type Registry } from 'prom-client';

const STATUSES = ['PASS', 'NO_HISTORY', 'WARN', 'FAIL', 'ERROR'] as const;

interface NamedCheck {
  readonly pipeline: string;
  readonly stage: string;
  readonly dataset: string;
  readonly check: string;
}

/** What the ledger says of checks, read with its other figures. */
export interface CheckFigures {
  readonly verdicts: readonly (NamedCheck & { readonly status: string })[];
  readonly observed: readonly (NamedCheck & { readonly value: number })[];
}

const NAMED = 'k.pipeline, r.stage, r.dataset, r.check_id as "check"';
const JUDGED = `almanac.check_result where pipeline = k.pipeline and branch = 'main'`;

/**
 * Fields of the one reading. Of each gate the newest attempt of the last window that it judged, of the last two of the pipeline: the newest one
 * may not have come to every gate yet. A value that must not be told is no value on record.
 */
export const CHECK_FIGURES = `
  (select coalesce(json_agg(f), '[]') from (
     select ${NAMED}, r.status from (select distinct pipeline from almanac.plan) k
     cross join lateral (select window_key from ${JUDGED} order by window_key collate "C" desc limit 1) newest
     cross join lateral (
       select *, rank() over (partition by stage order by window_key collate "C" desc, generation desc, attempt desc) as nth
       from ${JUDGED} and window_key collate "C" >= coalesce(
         (select window_key from ${JUDGED} and window_key collate "C" < newest.window_key order by window_key collate "C" desc limit 1), newest.window_key)) r
     where r.nth = 1) f) as verdicts,
  (select coalesce(json_agg(f), '[]') from (
     select ${NAMED}, r.observed as value from (select distinct pipeline from almanac.plan) k
     cross join lateral (
       select window_key, generation, run_branch from almanac.accepted_set where pipeline = k.pipeline and branch = 'main' order by window_key collate "C" desc limit 1) live
     cross join lateral (
       select *, rank() over (partition by stage order by generation desc, attempt desc) as nth
       from ${JUDGED} and window_key collate "C" = live.window_key and (generation <= live.generation or live.run_branch <> 'main')) r
     where r.nth = 1 and r.observed is not null) f) as observed`;

/** How each check of the newest windows was judged, and what was observed in the newest one that is accepted. */
export class CheckGauges {
  private readonly status: Gauge<'pipeline' | 'stage' | 'dataset' | 'check' | 'status'>;
  private readonly value: Gauge<'pipeline' | 'stage' | 'dataset' | 'check'>;

  constructor(registry: Registry) {
    const labelNames = ['pipeline', 'stage', 'dataset', 'check'] as const;
    const registers = [registry];
    this.status = new Gauge({
      name: 'almanac_check_status',
      help: 'How a check was judged in the newest window its gate came to: 1 for that status, 0 for the others.',
      labelNames: [...labelNames, 'status'],
      registers,
    });
    this.value = new Gauge({
      name: 'almanac_check_value',
      help: 'What a check observed in the newest accepted window; none where it is no number or would tell of a person.',
      labelNames,
      registers,
    });
  }

  /** Shows one reading; none is left of the one before. */
  show(figures: CheckFigures | undefined): void {
    for (const metric of [this.status, this.value]) metric.reset();
    for (const { status, ...check } of figures?.verdicts ?? []) {
      for (const one of STATUSES) this.status.set({ ...check, status: one }, one === status ? 1 : 0);
    }
    for (const { value, ...check } of figures?.observed ?? []) this.value.set(check, value);
  }
}
