import type pg from 'pg';
import { mkdtempSync, rmSync } from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import { fillLedger, lastWindow, pipelineName, projectText, STALE_WINDOWS, TEXTS } from '../../../bench/ledger-data';
import { ledgerQuestions } from '../../../bench/ledger-queries';
import { createDatasetStore } from '../../../activities/storage/datasets';
import { createLocalStore } from '../../../activities/storage/local-store';
import { systemClock } from '../../../lib/clock';
import { readConfig } from '../../../lib/config';
import { connect } from '../../../lib/postgres';
import { migrate } from '../../../lib/migrate';
import { renderGrid } from '../../../cli/render-run';
import { loadProject } from '../../../operator/project';
import { runGrid } from '../../../operator/runs/grid';
import type { OperatorSession } from '../../../operator/session';
import { listStale } from '../../../operator/stale';
import { ForeignProject } from '../../support/foreign-project';
import { testDatabase, type TestDatabase } from '../../support/postgres';
import { scannedWhole } from '../../support/query-plans';

/** Large enough that reading a table whole costs more than looking into its index. */
const SIZE = { pipelines: 3, windows: 365 };
/** Tables that grow with every run. */
const LARGE = ['run', 'attempt', 'log_line', 'action', 'dataset_version', 'version_input', 'accepted_set', 'accepted_version'];

let project: ForeignProject;
let home: string;
let database: TestDatabase;
let session: OperatorSession;
/** Where a row out of order costs what the next one does, as in memory: else tables of this size would be read whole for less. */
let planner: pg.Pool;

beforeAll(async () => {
  home = mkdtempSync(path.join(os.tmpdir(), 'almanac-large-'));
  project = new ForeignProject({
    'almanac.config.ts': projectText(SIZE.pipelines),
    ...Object.fromEntries(
      Array.from({ length: SIZE.pipelines }, (_, index) =>
        Object.entries(TEXTS).map(([name, text]) => [`pipelines/${pipelineName(index)}/sql/${name}`, text] as const),
      ).flat(),
    ),
  });
  database = await testDatabase();
  await migrate(database.pool);
  planner = connect(database.url, { options: '-c random_page_cost=1' });
  const loaded = await loadProject(project.directory);
  await fillLedger(database.pool, loaded, SIZE, () => undefined);
  const store = createLocalStore(path.join(home, 'data'));
  session = {
    ...{ config: readConfig({ ALMANAC_HOME: home }, home), database: database.pool, store, clock: systemClock },
    ...{ datasets: createDatasetStore(store, systemClock), project: () => Promise.resolve(loaded) },
    temporal: () => Promise.reject(new Error('no question goes to Temporal')),
    close: () => Promise.resolve(),
  };
}, 120_000);
afterAll(async () => {
  await planner?.end();
  await database?.[Symbol.asyncDispose]();
  project?.[Symbol.dispose]();
  rmSync(home, { recursive: true, force: true });
});

test.each(Object.entries(ledgerQuestions(SIZE)))('%s reads no large table whole', async (_, question) => {
  const { asked, whole } = await scannedWhole(planner, LARGE, async (recorded) => {
    await question({ ...session, database: recorded }, 17);
  });
  expect(asked).toBeGreaterThan(0);
  expect(whole).toEqual([]);
});

test('a question that no index answers is seen', async () => {
  const { whole } = await scannedWhole(planner, LARGE, async (recorded) => {
    await recorded.query('select count(*) from almanac.attempt where worker = $1', ['nobody']);
  });
  expect(whole).toEqual(['attempt: select count(*) from almanac.attempt where worker = $1']);
});

test('of a long chain, what was built on replaced rows is stale, and no more', async () => {
  const stale = await listStale(session);
  expect(stale).toHaveLength(STALE_WINDOWS);
  expect(new Set(stale.map(({ pipeline }) => pipeline))).toEqual(new Set([pipelineName(0)]));
  expect(stale.at(-1)?.window).toBe(lastWindow(SIZE));
});

test('the grid shows windows by stages, newest first, a page at a time', async () => {
  const page = await runGrid(session, { pipeline: 'p1', branch: 'main', limit: 3 });
  expect(page.stages).toEqual(['readA', 'readB', 'clean', 'join', 'state', 'report', 'judge', 'publish']);
  expect(page.windows.map(({ window }) => window)).toEqual(['2017-12-31', '2017-12-30', '2017-12-29']);
  const next = await runGrid(session, { pipeline: 'p1', branch: 'main', to: '2017-12-28', from: '2017-12-27', limit: 3 });
  expect(next.windows.map(({ window, generation }) => `${window}#${generation}`)).toEqual(['2017-12-28#1', '2017-12-27#1']);
  const twice = await runGrid(session, { pipeline: 'p1', branch: 'main', to: '2017-10-27', limit: 1 });
  expect(twice.windows).toMatchObject([{ window: '2017-10-27', generation: 2, state: 'succeeded', stages: { state: 'succeeded' } }]);
  expect(renderGrid(page).split('\n').slice(0, 2)).toEqual([
    expect.stringMatching(/^WINDOW +GEN +STATE +READA +READB .* PUBLISH$/),
    expect.stringMatching(/^2017-12-31 +1 +held +succeeded +succeeded /),
  ]);
});
