import path from 'node:path';
import type { StepRequest } from './requests';

/** What stands in for the machines of a cluster. */
export interface Tools {
  /** The spark-submit of a local Spark; `spark-sql` and the others are taken from beside it. */
  readonly sparkSubmit: string;
  /** Threads of a Spark that was to run on YARN. */
  readonly cores: number;
}

export interface LocalCommand {
  readonly file: string;
  readonly args: readonly string[];
}

const COMMAND_RUNNER = /(^|\/)command-runner\.jar$/;
const SPARK_PROGRAMS = ['spark-submit', 'spark-sql', 'spark-shell'];
const SHELLS = ['bash', 'sh'];

/** The process a step is run as on this machine; a text says why it cannot be run, and is the failure of the step. */
export function localCommand({ Jar: jar, Args: args = [] }: StepRequest['HadoopJarStep'], tools: Tools): LocalCommand | string {
  if (!COMMAND_RUNNER.test(jar)) return `Only command-runner.jar runs on a local cluster, not ${jar}`;
  const [program, ...rest] = args;
  if (program === undefined) return 'command-runner.jar was given no command';
  if (SHELLS.includes(program)) return { file: program, args: rest };
  if (program === 'spark-submit') return { file: tools.sparkSubmit, args: localSparkArgs(rest, tools.cores) };
  if (SPARK_PROGRAMS.includes(program))
    return { file: path.join(path.dirname(tools.sparkSubmit), program), args: localSparkArgs(rest, tools.cores) };
  return `Cannot run program "${program}": a local cluster has ${[...SPARK_PROGRAMS, ...SHELLS].join(', ')}`;
}

/** There is no YARN here: its master becomes threads of one process, and the driver runs in the step. The job's own arguments stay. */
function localSparkArgs(args: readonly string[], cores: number): readonly string[] {
  const result: string[] = [];
  for (let at = 0; at < args.length; at += 1) {
    const [name = '', inline] = (args[at] ?? '').split(/=(.*)/s);
    // The first word that is no option is the job; what follows is the job's own.
    if (!name.startsWith('-')) return [...result, ...args.slice(at)];
    const takesValue = !FLAGS.has(name) && inline === undefined;
    const value = inline ?? (takesValue ? args[at + 1] : undefined);
    if (name === '--master' && value?.startsWith('yarn')) result.push('--master', `local[${cores}]`);
    else if (name === '--deploy-mode') result.push('--deploy-mode', 'client');
    else result.push(...args.slice(at, at + (takesValue ? 2 : 1)));
    if (takesValue) at += 1;
  }
  return result;
}

/** Options of spark-submit and spark-sql without a value. */
const FLAGS = new Set(['--verbose', '-v', '--supervise', '--help', '-h', '--version', '-S', '--silent']);
