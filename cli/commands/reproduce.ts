import { spawn } from 'node:child_process';
import { accessSync, constants, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import type { Command } from 'commander';
import type { ReproducedRows, Reproduction } from '../../operator/runs/reproduce';
import { parseRun } from '../../pipelines/parse-run';
import type { CliIo } from '../io';
import { renderCount, renderTable } from '../render';

export function registerReproduceCommand(program: Command, io: CliIo): void {
  program
    .command('reproduce <run>')
    .description('compute a stage again over its pinned inputs, in a DuckDB shell where there is one; nothing is written to the store')
    .requiredOption('--stage <id>', 'a stage that computes with SQL')
    .option('--print', 'print the script instead')
    .addHelpText(
      'after',
      '\nExamples:\n  almanac reproduce audience-index/2011-11-03 --stage aggregate\n  almanac reproduce audience-index/2011-11-03#1 --stage aggregate --print > aggregate.sql',
    )
    .action(async (run: string, options: { stage: string; print?: boolean }) => {
      const { planOfRun, reproduceStage, runReproduction } = await import('../../operator/runs/reproduce.js');
      const session = await io.session();
      const address = parseRun(run);
      const stage = await reproduceStage(session, address, options.stage);
      if (options.print === true) {
        const reproduction = stage.over((objectPath) => session.store.place(objectPath));
        io.print(reproduction, () => reproduction.script);
        return;
      }
      await using local = await session.store.localFiles(stage.files);
      const reproduction = stage.over((objectPath) => local.path(objectPath));
      const shell = io.json ? undefined : findShell();
      if (shell !== undefined) {
        io.exitWith(await openShell(shell, reproduction.script));
        return;
      }
      const { createScratchEngine } = await import('../../operator/scratch-engine.js');
      await using scratch = createScratchEngine();
      const rows = await runReproduction(session, scratch.engine, reproduction, await planOfRun(session, address));
      const answer = { ...reproduction, found: rows, equal: rows.digest === reproduction.digest };
      io.print(answer, () => renderReproduction(reproduction, rows));
    });
}

/** The `duckdb` of the PATH, for people at a terminal. */
function findShell(): string | undefined {
  if (!process.stdin.isTTY) return undefined;
  return (process.env.PATH ?? '')
    .split(path.delimiter)
    .filter((folder) => folder !== '')
    .map((folder) => path.join(folder, 'duckdb'))
    .find((file) => {
      try {
        accessSync(file, constants.X_OK);
        return true;
      } catch {
        return false;
      }
    });
}

async function openShell(shell: string, script: string): Promise<number> {
  const folder = mkdtempSync(path.join(os.tmpdir(), 'almanac-reproduce-'));
  try {
    const file = path.join(folder, 'reproduce.sql');
    writeFileSync(file, script);
    const child = spawn(shell, ['-init', file], { stdio: 'inherit' });
    return await new Promise<number>((resolve, reject) => {
      child.once('error', reject);
      child.once('close', (code) => resolve(code ?? 1));
    });
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}

function renderReproduction({ run, stage, digest, engine }: Reproduction, found: ReproducedRows): string {
  const [first] = found.sample;
  const by = engine === 'spark' ? ' on Spark' : '';
  const verdict =
    digest === null
      ? 'the run has no output of it to compare with'
      : digest === found.digest
        ? `the same as the run wrote${by}`
        : `NOT what the run wrote${by}`;
  return [
    `${run} ${stage}: ${renderCount(found.rows, 'row')}, ${verdict} (${found.digest})`,
    ...(first === undefined
      ? []
      : [
          renderTable(
            found.sample,
            Object.keys(first).map((title) => ({ title, value: (row) => String(row[title] ?? '') })),
          ),
        ]),
  ].join('\n');
}
