import type { Outcome } from '../support/chaos-facts';
import { VICTIMS } from '../support/chaos-kills';
import { ChaosScenario, liveLines } from '../support/chaos-scenario';
import { describeReport } from '../support/chaos-stack';

jest.setTimeout(600_000);

const KILLS = 3;
/** Set ALMANAC_TEST_SEED to repeat a run; `npm run test:chaos` does more. */
const SEED = Number(process.env.ALMANAC_TEST_SEED ?? 20_261_121);

let scenario: ChaosScenario;
let reference: Outcome;

beforeAll(async () => {
  scenario = await ChaosScenario.create(SEED, KILLS);
});
afterAll(() => scenario?.[Symbol.dispose]());

test('undisturbed, the days end with the tables that their definition gives', async () => {
  const { outcome, complaints } = await scenario.undisturbed();
  expect(complaints).toEqual([]);
  expect(liveLines(outcome)).toEqual(scenario.reference());
  reference = outcome;
});

test.each(VICTIMS)(`with ${KILLS} SIGKILLs of the %s they end the same`, async (victim) => {
  const { kills, outcome, complaints } = await scenario.disturbed(victim, (report) => process.stderr.write(`${describeReport(report)}\n`));
  expect(complaints).toEqual([]);
  expect(outcome).toEqual(reference);
  expect(kills.filter(({ hit }) => hit === 'mid-run').length).toBeGreaterThan(0);
});
