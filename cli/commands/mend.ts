import type { Command } from 'commander';
import type { AuditedAction } from '../../operator/audit';
import type { UndoAnswer } from '../../operator/runs/undo';
import { parseRun } from '../../pipelines/parse-run';
import { formatRun } from '../../pipelines/run-id';
import type { CliIo } from '../io';
import { renderTable } from '../render';
import { timeOption } from '../time-option';
import { wholeNumber } from '../whole-number';
import { renderRetry } from '../render-retry';

/** Verbs that let a run go on by somebody's word, take that back, and list who said what. */
export function registerMendCommands(program: Command, io: CliIo): void {
  program
    .command('mark-done <run>')
    .description('say that an existing version is the output of a stage that failed; what follows is tainted')
    .requiredOption('--stage <id>', 'the stage; checks and publications cannot be marked done')
    .requiredOption('--version <dataset@window#version>', 'the version that is its output')
    .requiredOption('--reason <text>', 'recorded with the verb')
    .addHelpText(
      'after',
      '\nExample:\n  almanac mark-done audience-index/2011-11-03 --stage segments --version segments@2011-11-02#VERSION --reason "same as yesterday"',
    )
    .action(async (run: string, options: { stage: string; version: string; reason: string }) => {
      const { skipStage } = await import('../../operator/runs/skip.js');
      const { version: use, ...rest } = options;
      const answer = await skipStage(await io.session(), { verb: 'mark-done', address: parseRun(run), use, ...rest });
      io.print(answer, () => `${run}: stage ${answer.stage} is done as ${answer.used}; what follows is tainted`);
    });
  program
    .command('override <run>')
    .description('let a failing check pass for a while; the run goes on, and what follows is tainted')
    .requiredOption('--check <id>', 'the check that holds the run')
    .requiredOption('--until <time>', 'how long it may fail, in this run and in those of later windows: a time, or a length like 24h')
    .requiredOption('--reason <text>', 'recorded with the verb')
    .addHelpText(
      'after',
      '\nExamples:\n  almanac override audience-index/2011-11-03 --check udb-rows --until 24h --reason "holiday, known"\n  almanac override audience-index/2011-11-03 --check udb-rows --until 2026-11-22T06:00Z --reason "sender informed"',
    )
    .action(async (run: string, options: { check: string; until: string; reason: string }) => {
      const { overrideCheck } = await import('../../operator/runs/override.js');
      const session = await io.session();
      const until = timeOption('--until', options.until, session.clock.now(), 'ahead');
      const answer = await overrideCheck(session, { address: parseRun(run), check: options.check, until, reason: options.reason });
      io.print(answer, () =>
        [
          `check ${answer.check} of ${answer.stage} may fail until ${answer.until}; what follows is tainted`,
          renderRetry(answer.retry),
        ].join('\n'),
      );
    });
  program
    .command('undo <run>')
    .description('take back the last skip, mark-done, override or abandon')
    .requiredOption('--reason <text>', 'recorded with the verb')
    .addHelpText('after', '\nExample:\n  almanac undo audience-index/2011-11-03 --reason "wrong day skipped"')
    .action(async (run: string, options: { reason: string }) => {
      const { undoVerb } = await import('../../operator/runs/undo.js');
      const answer = await undoVerb(await io.session(), { address: parseRun(run), reason: options.reason });
      io.print(answer, () => renderUndo(answer));
    });
  program
    .command('audit')
    .argument('[run]', 'only of this run, or of one generation as PIPELINE/WINDOW#N')
    .description('who did what, when and why, the newest first')
    .option('--who <name>', 'only what this person did')
    .option('--since <time>', 'only since then: a time, or a length like 24h')
    .option('--limit <n>', 'at most this many', '50')
    .addHelpText('after', '\nExamples:\n  almanac audit --since 24h\n  almanac audit audience-index/2011-11-03 --json')
    .action(async (run: string | undefined, options: { who?: string; since?: string; limit: string }) => {
      const { audit } = await import('../../operator/audit.js');
      const session = await io.session();
      const since = options.since === undefined ? undefined : timeOption('--since', options.since, session.clock.now(), 'ago');
      const limit = wholeNumber('--limit', options.limit, { minimum: 1 });
      const actions = await audit(session, { run: run === undefined ? undefined : parseRun(run), who: options.who, since, limit });
      io.print(actions, () => renderAudit(actions));
    });
}

function renderUndo({ undone, retry, left }: UndoAnswer): string {
  const { verb, stage, who, at } = undone;
  return [
    `${verb}${stage === null ? '' : ` ${stage}`} of ${who} (${at}) is taken back`,
    ...(retry === null ? [] : [renderRetry(retry)]),
    ...(left === null ? [] : [`  ${left}`]),
  ].join('\n');
}

const STATES = { intended: 'not known to have been taken', done: 'done', refused: 'refused', undone: 'taken back' } as const;

function renderAudit(actions: readonly AuditedAction[]): string {
  if (actions.length === 0) return 'nothing was done';
  return renderTable(actions, [
    { title: 'AT', value: ({ at }) => at },
    { title: 'WHO', value: ({ who }) => who },
    { title: 'VERB', value: ({ verb }) => verb },
    {
      title: 'OF',
      value: ({ run, pool, schedule }) =>
        run === null ? (pool === null ? `schedule ${schedule ?? ''}` : `pool ${pool}`) : `${formatRun(run)}#${run.generation}`,
    },
    { title: 'STAGE', value: ({ stage }) => stage ?? undefined },
    { title: 'STATE', value: ({ state }) => STATES[state] },
    {
      title: 'WHY',
      value: (action) => [changeText(action), action.reason].filter(Boolean).join(': ') || undefined,
    },
  ]);
}

/** What a verb changed where its name does not say: `4 to 2 permits`, `changed (cron: …)`, `2026-11-21`. */
function changeText({ verb, detail }: AuditedAction): string | undefined {
  if (verb === 'pool set') return `${String(detail['before'])} to ${String(detail['permits'])} permits`;
  if (verb === 'schedule trigger') return String(detail['window']);
  if (verb !== 'schedule apply') return undefined;
  const differences = Array.isArray(detail['differences']) ? detail['differences'].join('; ') : '';
  return differences === '' ? String(detail['change']) : `${String(detail['change'])} (${differences})`;
}
