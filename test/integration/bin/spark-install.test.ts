import { spawn, type ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { chmodSync, mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { packageRoot } from '../../../lib/package-root';
import { until } from '../../support/until';

const DEADLINE_MS = 120_000;

/** Its tools are fakes that fetch nothing: they write what the real ones would, half of it before they wait for a gate, half after. */
interface Machine extends Disposable {
  readonly cache: string;
  /** What the tools began to do, in order. */
  begun(): readonly string[];
  /** Lets the tools go on, those that are started later too. */
  open(): void;
  /** Makes a tool fail from now on, or work again. */
  breaks(tool: string, broken: boolean): void;
  start(script: string, ...args: readonly string[]): Install;
}

interface Install {
  readonly process: ChildProcess;
  ended(): Promise<{ readonly code: number | null; readonly out: string; readonly err: string }>;
}

/** `$state` has what the test looks at and says. */
const FAKES: Readonly<Record<string, string>> = {
  python3: `
[ "$1" = -c ] && { echo 3 11; exit 0; }
# What is not pip is a module that answers when it is whole.
[ "$2" = pip ] || { [ -e "$PYTHONPATH/second" ]; exit $?; }
while [ "$1" != --target ]; do shift; done
to=$2
begin pip
mkdir -p "$to/pyspark/bin" "$to/pyspark/jars"
echo one >"$to/pyspark/jars/first.jar"
wait_for_gate
echo two >"$to/pyspark/jars/second.jar"
echo submit >"$to/pyspark/bin/spark-submit"
echo whole >"$to/second"
`,
  mvn: `
[ "$1" = --version ] && exit 0
begin mvn
for word; do
  case "$word" in
    -Dartifact=*) name=$(echo "\${word#*=}" | cut -d : -f 2) ;;
    -DoutputDirectory=*) to=\${word#*=} ;;
  esac
done
wait_for_gate
echo jar >"$to/$name.jar"
`,
  // As where there is none.
  aws: 'exit 127',
  // With a flight recorder in JAVA_TOOL_OPTIONS.
  java: 'echo "[0.292s][info][jfr,startup] Started recording 1."; echo openjdk 17.0.1',
  javac: `
[ "$1" = --version ] && { echo javac 17.0.1; exit 0; }
while [ "$1" != -d ]; do shift; done
begin javac
mkdir -p "$2"
`,
  jar: `
[ "$1" = --version ] && { echo jar 17.0.1; exit 0; }
echo job >"$3"
`,
};

function machine(): Machine {
  const root = mkdtempSync(path.join(tmpdir(), 'almanac-install-'));
  const [tools, state, cache] = ['tools', 'state', 'cache'].map((name) => path.join(root, name)) as [string, string, string];
  for (const folder of [tools, state]) mkdirSync(folder);
  for (const [name, body] of Object.entries(FAKES)) {
    const head = `#!/bin/sh
state='${state}'
begin() { echo "$1" >>"$state/begun"; [ ! -e "$state/broken-$1" ] || { echo "$1 is broken" >&2; exit 1; }; }
wait_for_gate() { while [ ! -e "$state/open" ]; do sleep 0.05; done; }
`;
    writeFileSync(path.join(tools, name), head + body);
    chmodSync(path.join(tools, name), 0o755);
  }
  const environment = { PATH: `${tools}:/usr/bin:/bin`, HOME: root, XDG_CACHE_HOME: cache };
  const running: ChildProcess[] = [];
  return {
    cache: path.join(cache, 'almanac'),
    begun() {
      return readdirSync(state).includes('begun') ? readFileSync(path.join(state, 'begun'), 'utf8').trim().split('\n') : [];
    },
    open: () => writeFileSync(path.join(state, 'open'), ''),
    breaks(tool, broken) {
      const file = path.join(state, `broken-${tool}`);
      if (broken) writeFileSync(file, '');
      else rmSync(file);
    },
    start(script, ...args) {
      // A group of its own, so that a kill takes its tools along or leaves them, as the test wants.
      const child = spawn(process.execPath, [path.join(packageRoot(), 'bin', script), ...args], {
        env: environment,
        detached: true,
        stdio: ['ignore', 'pipe', 'pipe'],
      });
      running.push(child);
      let out = '';
      let err = '';
      child.stdout.setEncoding('utf8').on('data', (text: string) => (out += text));
      child.stderr.setEncoding('utf8').on('data', (text: string) => (err += text));
      const closed = once(child, 'exit');
      return {
        process: child,
        async ended() {
          await closed;
          return { code: child.exitCode, out, err };
        },
      };
    },
    [Symbol.dispose]() {
      writeFileSync(path.join(state, 'open'), '');
      for (const child of running) killGroup(child);
      rmSync(root, { recursive: true, force: true, maxRetries: 10, retryDelay: 100 });
    },
  };
}

function killGroup({ pid }: ChildProcess): void {
  try {
    if (pid !== undefined) process.kill(-pid, 'SIGKILL');
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'ESRCH') throw error;
  }
}

/** Every file of the cache, by its folder. */
function files(cache: string): readonly string[] {
  return readdirSync(cache, { recursive: true, withFileTypes: true })
    .filter((entry) => entry.isFile())
    .map(({ parentPath, name }) => path.relative(cache, path.join(parentPath, name)).replace(/-[0-9a-f]{12,20}\//, '/'))
    .sort();
}

const WHOLE = [
  'pyspark-3.5.6/pyspark/bin/spark-submit',
  'pyspark-3.5.6/pyspark/jars/first.jar',
  'pyspark-3.5.6/pyspark/jars/second.jar',
  'pyspark-3.5.6/second',
  'spark-connector/aws-java-sdk-bundle.jar',
  'spark-connector/hadoop-aws.jar',
  'spark-connector/wildfly-openssl.jar',
  'spark-job/almanac-job.jar',
];

test('of two that install at once both end with the same whole Spark, and a third has nothing to do', async () => {
  using one = machine();
  const both = [one.start('spark.mjs'), one.start('spark.mjs')];
  await until('both to be in the middle', () => one.begun().length === 2, DEADLINE_MS);
  one.open();
  const [first, second] = await Promise.all(both.map((install) => install.ended()));
  expect([first?.code, second?.code, first?.err, second?.err]).toEqual([0, 0, expect.any(String), expect.any(String)]);
  expect(second?.out).toBe(first?.out);
  expect(files(one.cache)).toEqual(WHOLE);
  const before = one.begun();
  const jar = await one.start('spark.mjs', '--job-jar').ended();
  expect(jar.out).toMatch(/\/spark-job-[0-9a-f]{20}\/almanac-job\.jar\n$/);
  expect(one.begun()).toEqual(before);
});

test.each(['with its tools', 'alone'])('one that is killed in the middle %s leaves nothing that is taken for whole', async (how) => {
  using one = machine();
  const killed = one.start('spark.mjs');
  await until('it to be in the middle', () => one.begun().length === 1, DEADLINE_MS);
  if (how === 'alone') killed.process.kill('SIGKILL');
  else killGroup(killed.process);
  await killed.ended();
  // The tool that outlived it goes on writing while the next one installs.
  one.open();
  const next = await one.start('spark.mjs').ended();
  expect([next.code, next.err]).toEqual([0, expect.stringContaining('fetching Spark')]);
  await one.start('spark.mjs').ended();
  expect(files(one.cache).filter((file) => !file.includes('.new-'))).toEqual(WHOLE);
});

test('what a killed one had begun is removed by the next, what is fetched once stays, and what failed is fetched anew', async () => {
  using one = machine();
  const killed = one.start('spark.mjs');
  await until('it to be in the middle', () => one.begun().length === 1, DEADLINE_MS);
  killGroup(killed.process);
  await killed.ended();
  expect(readdirSync(one.cache)).toEqual([expect.stringContaining('pyspark-3.5.6.new-')]);
  one.open();
  one.breaks('mvn', true);
  const failed = await one.start('spark.mjs').ended();
  expect([failed.code, failed.out]).toEqual([11, '']);
  expect(failed.err).toMatch(/error spark: mvn ended with 1\nnext: read its output above/);
  expect(readdirSync(one.cache)).toEqual(['pyspark-3.5.6']);
  one.breaks('mvn', false);
  expect((await one.start('spark.mjs').ended()).code).toBe(0);
  expect(one.begun().filter((tool) => tool === 'pip')).toHaveLength(2);
  expect(files(one.cache)).toEqual(WHOLE);
});

test('the aws command is installed once by two at once, and after one that was killed', async () => {
  using one = machine();
  const killed = one.start('aws-cli.mjs');
  await until('it to be in the middle', () => one.begun().length === 1, DEADLINE_MS);
  killGroup(killed.process);
  await killed.ended();
  const both = [one.start('aws-cli.mjs'), one.start('aws-cli.mjs')];
  await until('both to be in the middle', () => one.begun().length === 3, DEADLINE_MS);
  one.open();
  const ends = await Promise.all(both.map((install) => install.ended()));
  expect(ends.map(({ code, out }) => [code, out])).toEqual(Array(2).fill([0, `${one.cache}/aws-command-1.45.11/aws\n`]));
  expect(readdirSync(one.cache)).toEqual(['aws-command-1.45.11']);
});

test('an install that fails says what to do, and leaves nothing', async () => {
  using one = machine();
  one.breaks('pip', true);
  const failed = await one.start('aws-cli.mjs').ended();
  expect(failed.code).toBe(11);
  expect(failed.err).toMatch(/error aws: .*pip ended with 1\nnext: put `aws` on PATH/);
  expect(readdirSync(one.cache)).toEqual([]);
});
