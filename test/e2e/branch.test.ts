import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import type { BranchDiff } from '../../operator/backfills/diff';
import type { PlannedBackfill } from '../../operator/backfills/plan';
import type { RunView } from '../../operator/runs/inspect';
import type { BackfillView } from '../../operator/backfills/verbs';
import { EmbeddedStack } from '../support/embedded-stack';
import { ForeignProject } from '../support/foreign-project';
import { until } from '../support/until';

jest.setTimeout(600_000);

const SOON_MS = 240_000;
const day = (at: number): string => `2026-01-0${at}`;
const chain = (id: string): string => `definePipeline({
    id: '${id}', owner: 'tests', window: daily(), chain: 'ordered', params: { weight: 1 },
    datasets: {
      ${id}_plays: { columns: { user_id: 'text', ts: 'timestamp' } },
      ${id}_totals: { kind: 'state', columns: { user_id: 'text', plays: 'bigint' }, key: ['user_id'] },
    },
    stages: {
      read: ingest({ landing: 'plays', writes: '${id}_plays', eventTime: 'ts' }),
      add: compute({ reads: { added: '${id}_plays', before: previous('${id}_totals') }, sql: 'add.sql', bootstrap: 'all.sql', writes: '${id}_totals' }),
      judge: check({ suite: { checks: [{ id: 'few', dataset: '${id}_totals', measure: { metric: 'rows-where', predicate: 'plays < 1' }, fail: { max: 0 }, why: 'Nobody played less than once.' }] } }),
      show: publish({ needs: ['judge'], mode: 'newest', tables: { ${id}_live: { from: '${id}_totals', key: ['user_id'] } } }),
    },
  })`;
/** The rules forgot dee; with the new ones cid is left out, and what is added counts as often as it is told. */
const add = (without: string): string => `select user_id, sum(n)::bigint as plays
from (select user_id, $weight as n from added where user_id <> '${without}' union all select user_id, plays from before where user_id <> '${without}')
group by user_id`;
const sqls = (without: string): Record<string, string> =>
  Object.fromEntries(
    ['kept', 'clean'].flatMap((id) => [
      [`pipelines/${id}/sql/add.sql`, add(without)],
      [`pipelines/${id}/sql/all.sql`, 'select user_id, count(*) as plays from added where ts < $window_end group by user_id'],
    ]),
  );

let faults: string;
let project: ForeignProject;
let stack: EmbeddedStack;
beforeAll(async () => {
  faults = mkdtempSync(path.join(os.tmpdir(), 'almanac-faults-'));
  project = new ForeignProject({
    'almanac.config.ts': `import { check, compute, daily, defineProject, definePipeline, ingest, previous, publish } from 'almanac';
export default defineProject({ pipelines: [${chain('kept')}, ${chain('clean')}] });
`,
    ...sqls('dee'),
  });
  stack = await EmbeddedStack.start({ project: project.directory, env: { ALMANAC_TEST_FAULTS: faults, ALMANAC_MEMORY: '256MB' } });
  for (let at = 1; at <= 8; at++) stack.land('plays', day(at), 'a.csv', csv(at));
});
afterAll(async () => {
  await stack?.[Symbol.asyncDispose]();
  project?.[Symbol.dispose]();
  rmSync(faults, { recursive: true, force: true });
});

function players(at: number): string[] {
  return ['ann', 'bob', 'cid', 'dee', 'eve'].filter((_, index) => at % (index + 1) === 0);
}

function csv(at: number): string {
  return ['user_id,ts', ...players(at).map((user) => `${user},${day(at)}T10:00:00`)].join('\n') + '\n';
}

/** What the rules say of a day, computed here: each day's rules leave one user out and count a play so often. */
function totals(upTo: number, rules: (at: number) => { without: string; weight: number }): Record<string, number> {
  let state: Record<string, number> = {};
  for (let at = 1; at <= upTo; at++) {
    const { without, weight } = rules(at);
    for (const user of players(at)) state[user] = (state[user] ?? 0) + weight;
    state = Object.fromEntries(Object.entries(state).filter(([user]) => user !== without));
  }
  return state;
}
const OLD = { without: 'dee', weight: 1 };
const NEW = { without: 'cid', weight: 3 };
const TODAY = { without: 'cid', weight: 1 };
const before = (upTo: number): Record<string, number> => totals(upTo, (at) => (at < 7 ? OLD : TODAY));
const after = (upTo: number): Record<string, number> => totals(upTo, (at) => (at < 3 ? OLD : NEW));

async function reaches(hash: string, ...states: readonly BackfillView['state'][]): Promise<BackfillView> {
  const show = (): Promise<BackfillView> => stack.json<BackfillView>('backfill', 'show', hash);
  await until(`${hash} is ${states.join(' or ')}`, async () => states.includes((await show()).state), SOON_MS, 500);
  return show();
}

async function planned(pipeline: string, from: number, to: number, ...options: readonly string[]): Promise<PlannedBackfill> {
  return stack.json<PlannedBackfill>('backfill', 'plan', pipeline, '--from', day(from), '--to', day(to), ...options);
}

async function build(pipeline: string, from: number, to: number, ...options: readonly string[]): Promise<void> {
  const { hash } = await planned(pipeline, from, to, ...options);
  await stack.ok('backfill', 'start', hash);
  await reaches(hash, 'done');
}

async function live(): Promise<Record<string, number>> {
  const { rows } = await (await stack.database()).query<{ user_id: string; plays: number }>('select user_id, plays from kept_live');
  return Object.fromEntries(rows.map(({ user_id, plays }) => [user_id, plays]));
}

async function digests(pipeline: string): Promise<{ window_key: string; digest: string }[]> {
  const { rows } = await (
    await stack.database()
  ).query<{ window_key: string; digest: string }>(
    `select a.window_key, v.digest from almanac.accepted_version a join almanac.dataset_version v
       on (v.dataset, v.window_key, v.version) = (a.dataset, a.version_window, a.version)
     where a.dataset = $1 and a.branch = 'main' order by a.window_key`,
    [`${pipeline}_totals`],
  );
  return rows;
}

test('the middle of a chain is built again on a branch while a live day goes on; compared, promoted over a dead promoter, it is what a clean build is', async () => {
  await build('kept', 1, 6);
  await build('clean', 1, 2);
  expect(await live()).toEqual(before(6));

  project.write(sqls('cid'));
  const { hash, plan } = await planned('kept', 3, 4, '--reprocess', 'all', '--param', 'weight=3');
  expect(plan).toMatchObject({ branch: { name: 'b1', from: day(3) }, params: { weight: 3 } });
  await stack.ok('backfill', 'start', hash, '--reason', 'dee counts, cid does not');
  await stack.ok('run', 'kept', '--window', day(7), '--wait');
  expect(await live()).toEqual(before(7));

  // The live day is replayed; when the branch was faster, by the resume that the refusal names.
  await reaches(hash, 'built');
  if ((await stack.json<BranchDiff>('backfill', 'diff', hash)).behind.length > 0) {
    const refused = await stack.failure('backfill', 'promote', hash, '--reason', 'compared');
    expect(refused).toMatchObject({ code: 'backfill.behind', exitCode: 5 });
    await stack.ok('backfill', 'resume', hash, '--reason', 'replay');
    await reaches(hash, 'built');
  }
  const diff = await stack.json<BranchDiff>('backfill', 'diff', hash, '--samples', '9');
  expect(diff).toMatchObject({ branch: 'b1', from: day(3), windows: 5, behind: [] });
  for (let at = 3; at <= 7; at++) expect(found(diff, at)).toEqual(expected(at));
  expect(diff.differences.filter(({ dataset }) => dataset === 'kept_plays').map(({ state }) => state)).toEqual(Array(5).fill('same'));
  expect(await stack.ok('backfill', 'diff', hash)).toContain(`next: almanac backfill promote ${hash}`);
  expect(await live()).toEqual(before(7));

  writeFileSync(path.join(faults, 'promote:moved'), 'SIGKILL');
  expect((await stack.run('backfill', 'promote', hash, '--reason', 'compared')).code).toBeNull();
  // Whoever comes next finishes what the dead one began; for this one nothing is left to do.
  expect(await stack.failure('backfill', 'promote', hash, '--reason', 'again')).toMatchObject({ code: 'backfill.state' });
  const done = await reaches(hash, 'done');
  expect(done.events.map(({ verb }) => verb)).toEqual(expect.arrayContaining(['start', 'built', 'promote', 'done']));
  expect(await live()).toEqual(after(7));
  expect(await stack.json('backfill', 'stale', 'kept')).toEqual([]);
  expect(await stack.ok('show', `kept/${day(4)}`)).toContain('promote');

  await build('clean', 3, 7, '--param', 'weight=3');
  expect((await digests('kept')).map(({ digest }) => digest)).toEqual((await digests('clean')).map(({ digest }) => digest));
  // The next live day is built on it.
  await stack.ok('run', 'kept', '--window', day(8), '--wait');
  expect(await live()).toEqual(totals(8, (at) => (at < 3 ? OLD : at < 8 ? NEW : TODAY)));
});

test('a branch with a held run is discarded over a dead discarder: the run is given up with the reason, and nothing of the branch is left', async () => {
  const before = await live();
  project.write({ 'pipelines/kept/sql/add.sql': 'select nobody, 1::bigint as plays from added, before' });
  const { hash, plan } = await planned('kept', 5, 6, '--reprocess', 'all');
  expect(plan.branch).toMatchObject({ name: 'b2', from: day(5) });
  await stack.ok('backfill', 'start', hash);
  const halted = await reaches(hash, 'halted');
  expect(halted.reason).toBe(`${day(5)} is held`);

  writeFileSync(path.join(faults, 'discard:closed'), 'SIGKILL');
  expect((await stack.run('backfill', 'discard', hash, '--reason', 'mistyped')).code).toBeNull();
  await stack.ok('backfill', 'discard', hash, '--reason', 'mistyped');
  expect(await stack.json<BackfillView>('backfill', 'show', hash)).toMatchObject({ state: 'discarded', reason: 'mistyped' });
  const { row, actions } = await stack.json<RunView>('show', `kept/${day(5)}~b2`);
  expect(row.state).toBe('abandoned');
  expect(actions.at(-1)).toMatchObject({ verb: 'abandon', reason: 'branch b2 is discarded: mistyped' });
  expect(await stack.json('runs', '--state', 'held')).toEqual([]);
  expect(await live()).toEqual(before);
});

/** By key: what the branch shows and main does not, what main shows and the branch does not, what both show otherwise. */
function expected(at: number): unknown {
  const [main, branch] = [before(at), after(at)];
  const users = [...new Set([...Object.keys(main), ...Object.keys(branch)])].filter((user) => main[user] !== branch[user]).sort();
  return {
    rows: { main: Object.keys(main).length, branch: Object.keys(branch).length },
    counts: [
      users.filter((user) => !(user in main)).length,
      users.filter((user) => !(user in branch)).length,
      users.filter((user) => user in main && user in branch).length,
    ],
    samples: users.map((user) => [user, main[user] ?? null, branch[user] ?? null]),
  };
}

function found({ differences }: BranchDiff, at: number): unknown {
  const one = differences.find(({ dataset, window }) => dataset === 'kept_totals' && window === day(at));
  const samples = (one?.samples ?? []).map(({ left, right }) => [
    (left ?? right)?.user_id,
    left === null ? null : Number(left.plays),
    right === null ? null : Number(right.plays),
  ]);
  return {
    rows: one?.rows,
    counts: [one?.added, one?.removed, one?.changed],
    samples: samples.sort(([a], [b]) => (String(a) < String(b) ? -1 : 1)),
  };
}
