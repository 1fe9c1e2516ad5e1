import { temporalArguments } from '../../../../operator/stack/temporal-server';

const OPTIONS = { binary: 'temporal', port: 1, httpPort: 2, metricsPort: 3, namespace: 'default' };

function valuesOf(args: readonly string[], name: string): string[] {
  return args.flatMap((word, index) => (word === `--${name}` ? [args[index + 1] ?? ''] : []));
}

test('the server has the measured settings: polls fast enough for chains, priorities count', () => {
  expect(valuesOf(temporalArguments(OPTIONS), 'dynamic-config-value').sort()).toEqual([
    'history.timerProcessorMaxPollRPS=2000',
    'history.transferProcessorMaxPollRPS=2000',
    'matching.useNewMatcher=true',
    'system.enableActivityEagerExecution=true',
  ]);
});

test('a state file is written ahead and synced at checkpoints; without one nothing is kept', () => {
  const kept = temporalArguments({ ...OPTIONS, databaseFile: '/home/temporal.db' });
  expect(valuesOf(kept, 'db-filename')).toEqual(['/home/temporal.db']);
  expect(valuesOf(kept, 'sqlite-pragma')).toEqual(['journal_mode=WAL', 'synchronous=NORMAL']);
  expect(temporalArguments(OPTIONS)).not.toContain('--sqlite-pragma');
});

test('it listens on loopback only and reads nobody’s settings', () => {
  const args = temporalArguments({ ...OPTIONS, uiPort: 4 });
  expect(valuesOf(args, 'ip')).toEqual(['127.0.0.1']);
  expect(args).toEqual(expect.arrayContaining(['--disable-config-file', '--disable-config-env']));
});

test('a namespace other than default is created at the start', () => {
  expect(valuesOf(temporalArguments({ ...OPTIONS, namespace: 'team' }), 'namespace')).toEqual(['team']);
});
