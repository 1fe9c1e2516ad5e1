import { chmodSync, mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { cachedTemporal, isRecent, locateTemporal, obtainTemporal } from '../../../../operator/stack/temporal-binary';

let directory: string;
beforeEach(() => {
  directory = mkdtempSync(path.join(tmpdir(), 'almanac-binary-'));
});
afterEach(() => rmSync(directory, { recursive: true }));

function program(file: string, version: string): string {
  mkdirSync(path.dirname(file), { recursive: true });
  writeFileSync(file, `#!/bin/sh\necho "temporal version 1 (Server ${version}, UI 1)"\n`);
  chmodSync(file, 0o755);
  return file;
}

test('a binary on PATH comes before the cached one', () => {
  const env = { PATH: path.join(directory, 'bin'), XDG_CACHE_HOME: directory };
  program(cachedTemporal(env), '1.29.1');
  const onPath = program(path.join(directory, 'bin', 'temporal'), '1.30.0');
  expect(locateTemporal(env)).toEqual({ file: onPath, source: 'path' });
});

test('a binary on PATH that ignores our settings is passed over', () => {
  const env = { PATH: path.join(directory, 'bin'), XDG_CACHE_HOME: directory };
  program(path.join(directory, 'bin', 'temporal'), '1.28.9');
  expect(locateTemporal(env)).toBeUndefined();
  const cached = program(cachedTemporal(env), '1.29.1');
  expect(locateTemporal(env)).toEqual({ file: cached, source: 'cache' });
});

test.each([
  ['1.29.0', true],
  ['1.28.9', false],
  ['2.0.0', true],
  ['0.99.0', false],
  [undefined, false],
])('server %s is recent enough: %s', (version, expected) => {
  expect(isRecent(version)).toBe(expected);
});

test('Go builds it once, tells that it takes long, and leaves nothing half done', async () => {
  const env = { PATH: `${path.join(directory, 'bin')}:/usr/bin:/bin`, XDG_CACHE_HOME: directory };
  const go = path.join(directory, 'bin', 'go');
  mkdirSync(path.dirname(go), { recursive: true });
  writeFileSync(go, '#!/bin/sh\necho "$@" > "$GOBIN/../asked"\nprintf "#!/bin/sh\\n" > "$GOBIN/temporal"\n');
  chmodSync(go, 0o755);
  const told: string[] = [];
  // A proxy that refuses connections makes the download fail.
  const found = await obtainTemporal({ ...env, HTTPS_PROXY: 'http://127.0.0.1:9', https_proxy: 'http://127.0.0.1:9' }, (line) =>
    told.push(line),
  );
  expect(found).toEqual({ file: cachedTemporal(env), source: 'go' });
  expect(told.join('\n')).toContain('3 minutes');
  expect(locateTemporal(env)).toEqual({ file: cachedTemporal(env), source: 'cache' });
});

test('without any way to get one the error says what to install', async () => {
  const env = { PATH: directory, XDG_CACHE_HOME: directory, HTTPS_PROXY: 'http://127.0.0.1:9', https_proxy: 'http://127.0.0.1:9' };
  await expect(obtainTemporal(env, () => undefined)).rejects.toMatchObject({
    code: 'stack.temporal-missing',
    next: expect.stringContaining('TEMPORAL_ADDRESS'),
  });
});
