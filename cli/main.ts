import { existsSync, readFileSync } from 'node:fs';
import path from 'node:path';
import { Command, CommanderError } from 'commander';
import { packageRoot } from '../lib/package-root';
import { registerBackfillCommands } from './commands/backfill';
import { registerCheckCommands } from './commands/check';
import { registerDemoCommand } from './commands/demo';
import { registerDatasetCommands } from './commands/dataset';
import { registerDeployCommands } from './commands/deploy';
import { registerDeployCheckCommand } from './commands/deploy-check';
import { registerDoctorCommands } from './commands/doctor';
import { registerDownCommands } from './commands/down';
import { registerEmrLocalCommand } from './commands/emr-local';
import { registerInspectCommands } from './commands/inspect';
import { registerNoticeCommands } from './commands/notices';
import { registerPoolCommands } from './commands/pool';
import { registerPublishCommands } from './commands/publish';
import { registerQuarantineCommands } from './commands/quarantine';
import { registerRunCommand } from './commands/run';
import { registerScheduleCommands } from './commands/schedule';
import { registerStatusCommands } from './commands/status';
import { registerTestCommands } from './commands/test';
import { registerUpCommands } from './commands/up';
import { registerValidateCommands } from './commands/validate';
import { registerMendCommands } from './commands/mend';
import { registerReconcileCommand } from './commands/reconcile';
import { registerReproduceCommand } from './commands/reproduce';
import { registerVerbCommands } from './commands/verbs';
import { registerWorkerCommand } from './commands/worker';
import { renderError, reportOf, toAlmanacError, type ErrorReport } from './error-report';
import { exitCodeOf, USAGE_EXIT_CODE } from './exit-codes';
import { asInvoked } from './invocation';
import { createIo, type CliIo, type CliStreams } from './io';

/** Each adds its verbs to the program. They import what is heavy inside their actions, so that `--help` starts at once. */
const COMMANDS: readonly ((program: Command, io: CliIo) => void)[] = [
  registerUpCommands,
  registerDownCommands,
  registerStatusCommands,
  registerDoctorCommands,
  registerDemoCommand,
  registerRunCommand,
  registerInspectCommands,
  registerVerbCommands,
  registerMendCommands,
  registerReconcileCommand,
  registerReproduceCommand,
  registerScheduleCommands,
  registerBackfillCommands,
  registerPoolCommands,
  registerNoticeCommands,
  registerCheckCommands,
  registerPublishCommands,
  registerDatasetCommands,
  registerQuarantineCommands,
  registerValidateCommands,
  registerTestCommands,
  registerWorkerCommand,
  registerDeployCheckCommand,
  registerDeployCommands,
  registerEmrLocalCommand,
];

/** Handles of a service may outlive its session by a moment; a command must not. */
const LINGER_MS = 2000;

/** For a worker without a supervisor to end in order. */
const ORPHAN_GRACE_MS = 5000;

export function createProgram(io: CliIo, streams: CliStreams, argv: readonly string[] = []): Command {
  const program = new Command('almanac')
    .description('Dated, stateful data pipelines: run them, see them, mend them.')
    .option('--json', 'print the result as JSON on stdout')
    .option('--project <dir>', 'the project: a directory with an almanac.config.ts (default: the one you stand in)')
    .configureHelp({ showGlobalOptions: true })
    .addHelpText(
      'after',
      '\nExamples:\n  almanac up --detach\n  almanac demo\n  almanac run audience-index --window 2011-11-01 --wait\n  almanac status --json',
    )
    .exitOverride()
    .configureOutput({ writeOut: (text) => streams.stdout.write(text), writeErr: () => undefined });
  for (const register of COMMANDS) register(program, io);
  // The program's options are taken anywhere on the line, also what a verb means by the same name.
  if (!hasOwnVersion(program, argv)) program.version(packageVersion(), '-V, --version', 'print the version');
  return program;
}

/** Whether the line names a verb with a \`--version\` of its own. */
function hasOwnVersion(program: Command, argv: readonly string[]): boolean {
  return program.commands.some((command) => argv.includes(command.name()) && command.options.some(({ long }) => long === '--version'));
}

function packageVersion(): string {
  const { version } = JSON.parse(readFileSync(path.join(packageRoot(), 'package.json'), 'utf8')) as { version: string };
  return version;
}

/** Runs one command line (`argv` without node and script); returns the exit code, never throws. */
export async function runCli(argv: readonly string[], terminal: CliStreams): Promise<number> {
  // Known before parsing: a command line that does not parse is reported in the form it asked for.
  const json = argv.includes('--json');
  const streams = json ? terminal : asInvoked(terminal, process.env);
  const projectDirectory = (): string => {
    const { project } = program.opts<{ project?: string }>();
    return project === undefined ? nearestProject(process.cwd()) : path.resolve(project);
  };
  const io = createIo({
    streams,
    json: () => json,
    projectDirectory,
    openSession: async (directory, how) => (await import('../operator/session.js')).openSession(directory, how),
  });
  const program = createProgram(io, streams, argv);
  const report = (problem: ErrorReport): void => {
    if (json) streams.stdout.write(`${JSON.stringify({ error: problem }, undefined, 2)}\n`);
    else streams.stderr.write(renderError(problem));
  };
  try {
    await program.parseAsync([...argv], { from: 'user' });
    await io.close();
    return io.exitCode;
  } catch (error) {
    await io.close().catch(() => undefined);
    if (error instanceof CommanderError) {
      if (error.exitCode === 0) return 0;
      report(usageReport(error, argv, program));
      return USAGE_EXIT_CODE;
    }
    const known = toAlmanacError(error, path.resolve(projectDirectory(), process.env.ALMANAC_HOME || '.almanac', 'logs'));
    report(reportOf(known));
    return exitCodeOf(known);
  }
}

/** The process's own entry: a closed pipe (`| head`) ends it quietly, a forgotten handle does not keep it. */
export async function main(): Promise<void> {
  process.stdout.on('error', (error: NodeJS.ErrnoException) => {
    if (error.code === 'EPIPE') process.exit(0);
    throw error;
  });
  if (process.argv.includes('worker')) endWithSupervisor();
  process.exitCode = await runCli(process.argv.slice(2), process);
  setTimeout(() => process.exit(), LINGER_MS).unref();
}

/** A supervised worker has a channel to its supervisor; it closes when that is gone, even by SIGKILL. */
function endWithSupervisor(): void {
  if (!process.channel) return;
  process.once('disconnect', () => {
    process.kill(process.pid, 'SIGTERM');
    setTimeout(() => process.exit(1), ORPHAN_GRACE_MS).unref();
  });
  // Listening alone must not keep a worker that is done.
  process.channel.unref();
}

function usageReport(error: CommanderError, argv: readonly string[], program: Command): ErrorReport {
  // Without a verb commander asks for its help and says so by this code only.
  const message = error.code === 'commander.help' ? 'a verb is missing' : error.message.replace(/^error: /, '');
  return { code: 'usage', class: 'user', message, next: `${helpCommand(argv, program)} --help`, details: {} };
}

/** The longest prefix of the line that names a command. */
function helpCommand(argv: readonly string[], program: Command): string {
  let command = program;
  const words = ['almanac'];
  for (const word of argv.filter((argument) => !argument.startsWith('-'))) {
    const found = command.commands.find((candidate) => candidate.name() === word || candidate.aliases().includes(word));
    if (!found) break;
    command = found;
    words.push(word);
  }
  return words.join(' ');
}

/** The nearest directory at or above `from` that declares a project; `from` itself when there is none. */
function nearestProject(from: string): string {
  for (let directory = from; ; directory = path.dirname(directory)) {
    if (existsSync(path.join(directory, 'almanac.config.ts'))) return directory;
    if (path.dirname(directory) === directory) return from;
  }
}
