import { writeFile } from 'node:fs/promises';
import type { Command } from 'commander';
import { parseRun } from '../../pipelines/parse-run';
import { formatRun } from '../../pipelines/run-id';
import type { CliIo } from '../io';
import { checkReport } from '../check-report';
import { renderChecks, renderExclusions, renderHistory, renderSuggestions, renderTrial } from '../render-check';
import { wholeNumber } from '../whole-number';

export function registerCheckCommands(program: Command, io: CliIo): void {
  const check = program
    .command('check')
    .description('what gates measured, how they judged it, and the rows that failed')
    .addHelpText('after', '\nExamples:\n  almanac check show audience-index/2011-11-01\n  almanac check history udb rows');
  check
    .command('show <run>')
    .description('the verdicts of a run, the worst first, with sampled failing rows')
    .addHelpText(
      'after',
      '\nExamples:\n  almanac check show audience-index/2011-11-01\n  almanac check show audience-index/2011-11-01#1   an earlier generation',
    )
    .option('--html <file>', 'write the report as a page too')
    .action(async (run: string, { html }: { html?: string }) => {
      const [{ showChecks }, { findRun }] = await Promise.all([
        import('../../operator/checks.js'),
        import('../../operator/runs/inspect.js'),
      ]);
      const session = await io.session();
      const row = await findRun(session, parseRun(run));
      const checks = await showChecks(session.database, row.run);
      if (html !== undefined) await writeFile(html, checkReport(formatRun(row.run), checks));
      io.print(checks, () => renderChecks(checks));
    });
  check
    .command('history <dataset> <metric>')
    .description('the values of a metric by window, and which of them are a baseline')
    .addHelpText('after', "\nExamples:\n  almanac check history udb rows\n  almanac check history report 'null-count(pixel_id)'")
    .action(async (dataset: string, metric: string) => {
      const { metricHistory } = await import('../../operator/checks.js');
      const points = await metricHistory((await io.session()).database, dataset, metric);
      io.print(points, () => renderHistory(points));
    });
  registerTrialCommands(check, io);
  registerExclusionCommands(check, io);
}

function registerTrialCommands(check: Command, io: CliIo): void {
  check
    .command('try <suite> <version>')
    .description('judge a version by the checks of PIPELINE/STAGE as the project has them now; nothing goes on record')
    .addHelpText('after', '\nExamples:\n  almanac check try audience-index/gate report@2011-11-01')
    .action(async (suite: string, version: string) => {
      const [{ tryChecks }, { parseVersionAddress }, { createScratchEngine }] = await Promise.all([
        import('../../operator/check-try.js'),
        import('../../operator/dataset-names.js'),
        import('../../operator/scratch-engine.js'),
      ]);
      const address = parseVersionAddress(version);
      await using scratch = createScratchEngine();
      const trial = await tryChecks({ ...(await io.session()), engine: scratch.engine }, suite, address);
      io.print(trial, () => renderTrial(trial));
    });
  check
    .command('suggest <version>')
    .description('checks that a version suggests, from its profile: a person decides which to keep')
    .addHelpText('after', '\nExamples:\n  almanac check suggest report@2011-11-01')
    .action(async (version: string) => {
      const [{ suggestChecks }, { parseVersionAddress }, { createScratchEngine }] = await Promise.all([
        import('../../operator/check-try.js'),
        import('../../operator/dataset-names.js'),
        import('../../operator/scratch-engine.js'),
      ]);
      const address = parseVersionAddress(version);
      await using scratch = createScratchEngine();
      const suggestions = await suggestChecks({ ...(await io.session()), engine: scratch.engine }, address);
      io.print(suggestions, () => renderSuggestions(suggestions));
    });
}

function registerExclusionCommands(check: Command, io: CliIo): void {
  check
    .command('exclude <pipeline>')
    .description('put windows on record as like no others (a holiday, an incident): no baseline, no drift')
    .requiredOption('--from <window>', 'the first of them')
    .requiredOption('--to <window>', 'the last of them')
    .requiredOption('--reason <text>', 'why they are like no others')
    .option('--dataset <name>', 'of one dataset only')
    .addHelpText('after', "\nExamples:\n  almanac check exclude audience-index --from 2011-12-24 --to 2011-12-26 --reason 'Christmas'")
    .action(async (pipeline: string, options: { from: string; to: string; reason: string; dataset?: string }) => {
      const { exclude } = await import('../../operator/check-exclusions.js');
      const exclusion = await exclude(await io.session(), { ...options, pipeline });
      io.print(exclusion, () => renderExclusions([exclusion]));
    });
  check
    .command('exclusions [pipeline]')
    .description('windows on record as like no others')
    .addHelpText('after', '\nExamples:\n  almanac check exclusions\n  almanac check exclusions audience-index --json')
    .action(async (pipeline?: string) => {
      const { exclusions } = await import('../../operator/check-exclusions.js');
      const listed = await exclusions(await io.session(), pipeline);
      io.print(listed, () => renderExclusions(listed));
    });
  check
    .command('include <number>')
    .description('take an exclusion back: its windows are baselines again')
    .addHelpText('after', '\nExamples:\n  almanac check include 3')
    .action(async (number: string) => {
      const id = wholeNumber('NUMBER', number, { minimum: 1 });
      const { include } = await import('../../operator/check-exclusions.js');
      await include(await io.session(), id);
      io.print({ included: id }, () => `Exclusion ${id} is taken back.`);
    });
}
