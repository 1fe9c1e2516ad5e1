import { spawnSync } from 'node:child_process';
import { cpSync, existsSync, mkdirSync, mkdtempSync, readFileSync, realpathSync, rmSync, symlinkSync, unlinkSync } from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import { template } from './synthesise';

/** What the image is made of and does, without Docker: its context, its build, the packages it keeps, and what it starts with. */
const ROOT = path.join(__dirname, '../..');
const PLACE = '/opt/almanac';
const BUILD_MS = 900_000;

const recipe = readFileSync(path.join(ROOT, 'infra/image/Dockerfile'), 'utf8');
const image = mkdtempSync(path.join(os.tmpdir(), 'almanac-image-'));
afterAll(() => rmSync(image, { recursive: true, force: true }));

/** Whether Docker would leave a path out, by the two kinds of patterns that the file has: a name anywhere, and a name at the top. */
function isIgnored(file: string): boolean {
  const names = file.split(path.sep);
  return readFileSync(path.join(ROOT, 'infra/image/Dockerfile.dockerignore'), 'utf8')
    .split('\n')
    .filter((pattern) => pattern !== '')
    .some((pattern) => (pattern.startsWith('**/') ? names.includes(pattern.slice('**/'.length)) : names[0] === pattern));
}

/** Packages of the lock file that `npm prune --omit=dev` leaves, linked to where they are installed: our own code finds no other. */
function linkPackages(keepDev: boolean): void {
  const { packages } = JSON.parse(readFileSync(path.join(ROOT, 'package-lock.json'), 'utf8')) as {
    packages: Record<string, { readonly dev?: boolean; readonly devOptional?: boolean }>;
  };
  const installed = realpathSync(path.join(ROOT, 'node_modules'));
  for (const [place, { dev, devOptional }] of Object.entries(packages)) {
    const name = /^node_modules\/((?:@[^/]+\/)?[^/]+)$/.exec(place)?.[1];
    if (name === undefined || !existsSync(path.join(installed, name))) continue;
    const link = path.join(image, 'node_modules', name);
    if (!keepDev && (dev === true || devOptional === true)) {
      if (existsSync(link)) unlinkSync(link);
    } else if (!existsSync(link)) {
      mkdirSync(path.dirname(link), { recursive: true });
      symlinkSync(path.join(installed, name), link);
    }
  }
}

function run(words: readonly string[], variables: Readonly<Record<string, string>> = {}) {
  const { status, stdout, stderr } = spawnSync(process.execPath, words, {
    cwd: image,
    env: { PATH: process.env.PATH ?? '', HOME: image, NODE_ENV: 'production', ALMANAC_HOME: path.join(image, 'home'), ...variables },
    encoding: 'utf8',
  });
  return { status, out: stdout, told: stdout + stderr };
}

/** The words of an instruction in its JSON form, places within the image made places within our copy. */
function instruction(name: string): readonly string[] {
  const words = JSON.parse(new RegExp(`^${name} (\\[.*\\])$`, 'm').exec(recipe)?.[1] ?? 'null') as string[];
  return words.map((word) => word.replace(PLACE, image));
}

test(
  'what the context has builds, and what is left of it after that starts',
  () => {
    cpSync(ROOT, image, { recursive: true, filter: (source) => !isIgnored(path.relative(ROOT, source)) });
    for (const file of ['package.json', 'package-lock.json', '.npmrc'])
      expect([file, existsSync(path.join(image, file))]).toEqual([file, true]);
    for (const name of ['test', 'bench', 'demo', '.git', 'dist', 'infra/node_modules'])
      expect([name, existsSync(path.join(image, name))]).toEqual([name, false]);
    linkPackages(true);
    expect(run(['bin/build.mjs'])).toMatchObject({ status: 0 });
    linkPackages(false);
    expect(existsSync(path.join(image, 'node_modules', 'typescript'))).toBe(false);

    const [node, ...start] = instruction('ENTRYPOINT');
    expect(node).toBe('node');
    expect(run([...start, '--version'])).toMatchObject({ status: 0, out: expect.stringMatching(/^\d+\.\d+\.\d+\n$/) });
    expect(run([...start, 'validate'])).toMatchObject({ status: 0 });
    // What CMD says is a worker: without a server it gets as far as saying so.
    const worker = run([...start, ...instruction('CMD')], {
      DATABASE_URL: 'postgres://almanac:secret@127.0.0.1:1/almanac',
      TEMPORAL_ADDRESS: '127.0.0.1:1',
    });
    expect(worker.told).toMatch(/127\.0\.0\.1/);
    expect(worker.told).not.toMatch(/Cannot find module|secret@/);
    expect(worker.status).not.toBe(0);
  },
  BUILD_MS,
);

test('the set-up of the database role finds its driver, and says what it was not given', () => {
  const [task] = Object.values(
    template('plain', 'workers').findResources('AWS::ECS::TaskDefinition', { Properties: { Family: 'almanac-setup' } }),
  );
  const [script = ''] = (task?.Properties.ContainerDefinitions[0].Command ?? []) as string[];
  expect(script.startsWith(`${PLACE}/`)).toBe(true);
  expect(run([script.replace(PLACE, image)])).toMatchObject({
    status: 1,
    told: expect.stringContaining('error setup: DATABASE_URL is not set'),
  });
});

test('the recipe names what is there, one Node for both stages, and a user that is not root', () => {
  const bases = [...recipe.matchAll(/^FROM (\S+)/gm)].map(([, base]) => base);
  expect(new Set(bases).size).toBe(1);
  expect(bases[0]).toMatch(/^node:\d+\.\d+\.\d+-\w+-slim$/);
  expect(Number(/^node:(\d+)/.exec(bases[0] ?? '')?.[1])).toBeGreaterThanOrEqual(20);
  expect(/^USER (\w+)$/m.exec(recipe)?.[1]).toBe('node');
  for (const [, linked = ''] of recipe.matchAll(/--symbolic (\S+)/g)) expect(existsSync(linked.replace(PLACE, ROOT))).toBe(true);
  const variables = Object.fromEntries([...recipe.matchAll(/\b([A-Z_]+)=(\S+)/g)].map(([, name, value]) => [name, value]));
  const [worker] = Object.values(
    template('plain', 'workers').findResources('AWS::ECS::TaskDefinition', { Properties: { Family: 'almanac-live' } }),
  );
  expect(worker?.Properties.ContainerDefinitions[0].Environment).toContainEqual({ Name: 'ALMANAC_HOME', Value: variables.ALMANAC_HOME });
});
