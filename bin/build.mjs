// Compiles the sources and bundles the workflow code. Needs what npm ci installed, nothing else.
import { spawnSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import { existsSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import path from 'node:path';
import { fileURLToPath } from 'node:url';

const root = path.dirname(path.dirname(fileURLToPath(import.meta.url)));
const dist = path.join(root, 'dist');
const stamp = path.join(dist, '.sources');
const FOLDERS = ['activities', 'bench', 'cli', 'lib', 'operator', 'pipelines', 'workers', 'workflows'];
const CONFIGURATION = ['package-lock.json', 'tsconfig.json', 'tsconfig.build.json'];

/** True when dist was built from the sources as they are. */
export function isBuilt() {
  return existsSync(stamp) && readFileSync(stamp, 'utf8') === sourcesDigest();
}

/** Returns false when the compiler or the bundler refuses; they have said why. */
export async function build() {
  const digest = sourcesDigest();
  rmSync(stamp, { force: true });
  removeOrphans();
  const require = createRequire(path.join(root, 'package.json'));
  // A build whose outputs are gone must not be skipped because its record is still there.
  if (!existsSync(path.join(dist, 'cli', 'main.js'))) rmSync(path.join(dist, '.tsbuildinfo'), { force: true });
  const compiler = [require.resolve('typescript/bin/tsc'), '-p', 'tsconfig.build.json'];
  const compiled = spawnSync(process.execPath, compiler, { cwd: root, stdio: ['ignore', 2, 2] });
  if (compiled.status !== 0) return false;
  const bundled = spawnSync(process.execPath, ['-e', 'require("./dist/workers/bundle.js").writeBundle()'], {
    cwd: root,
    stdio: ['ignore', 2, 2],
  });
  if (bundled.status !== 0) return false;
  writeFileSync(stamp, digest);
  return true;
}

function sourcesDigest() {
  const files = [
    ...CONFIGURATION.map((name) => path.join(root, name)),
    ...FOLDERS.flatMap((name) => filesBelow(path.join(root, name), '.ts')),
  ];
  const hash = createHash('sha256');
  for (const file of files.sort()) hash.update(`\0${path.relative(root, file)}\0`).update(readFileSync(file));
  return hash.digest('hex');
}

/** Outputs of sources that are gone would still be found by name. */
function removeOrphans() {
  for (const folder of FOLDERS) {
    for (const file of filesBelow(path.join(dist, folder), '.js')) {
      const stem = file.slice(0, -'.js'.length);
      if (existsSync(`${path.join(root, path.relative(dist, stem))}.ts`)) continue;
      for (const suffix of ['.js', '.js.map', '.d.ts']) rmSync(stem + suffix, { force: true });
    }
  }
}

function filesBelow(directory, suffix) {
  if (!existsSync(directory)) return [];
  return readdirSync(directory, { withFileTypes: true }).flatMap((entry) => {
    const file = path.join(directory, entry.name);
    if (entry.isDirectory()) return filesBelow(file, suffix);
    return entry.name.endsWith(suffix) ? [file] : [];
  });
}

if (process.argv[1] === fileURLToPath(import.meta.url) && !(await build())) process.exitCode = 1;
