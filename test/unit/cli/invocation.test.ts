import { asInvoked } from '../../../cli/invocation';

function written(text: string, environment: NodeJS.ProcessEnv): string {
  let out = '';
  const stream = { write: (piece: string) => (out += piece) };
  asInvoked({ stdout: stream, stderr: stream }, environment).stderr.write(text);
  return out;
}

const TEXT = 'error run.usage: no almanac run here\nnext: almanac runs; then: almanac retry a/1 --reason …, or npx almanac why a/1\n';

test('next steps can be typed as the program was called: through npm with npx', () => {
  expect(written(TEXT, { npm_command: 'exec' })).toBe(
    'error run.usage: no almanac run here\nnext: npx almanac runs; then: npx almanac retry a/1 --reason …, or npx almanac why a/1\n',
  );
  expect(written(TEXT, {})).toBe(TEXT);
});

test('paths and names that hold the word stay as they are', () => {
  const text = 'next: look at /var/almanac logs and node bin/almanac.js, my-almanac up';
  expect(written(text, { npm_command: 'run-script' })).toBe(text);
});
