import { existsSync } from 'node:fs';
import { mkdir, readFile, rename, writeFile } from 'node:fs/promises';
import path from 'node:path';
import { bundleWorkflowCode, DefaultLogger, type WorkflowBundleWithSourceMap } from '@temporalio/worker';
import { packageRoot } from '../lib/package-root';
import { payloadBundleOptions } from '../lib/payload-converter';

/** Bundles the one interpreter; nothing of a project enters. */
export function bundleWorkflows(): Promise<WorkflowBundleWithSourceMap> {
  // From dist the compiled index, from source (tests) the TypeScript one: the bundler reads both.
  const compiled = path.join(packageRoot(), 'dist', 'workflows', 'index.js');
  const source = path.join(packageRoot(), 'workflows', 'index.ts');
  const fromSource = __filename.endsWith('.ts');
  return bundleWorkflowCode({
    workflowsPath: fromSource || !existsSync(compiled) ? source : compiled,
    ...payloadBundleOptions,
    logger: new DefaultLogger('WARN'),
  });
}

/** The bundle made at build time, or a fresh one; bundling takes seconds, reading it milliseconds. */
export async function workflowBundle(): Promise<{ code: string }> {
  const built = builtBundlePath();
  if (!__filename.endsWith('.ts') && existsSync(built)) return { code: await readFile(built, 'utf8') };
  return bundleWorkflows();
}

function builtBundlePath(): string {
  return path.join(packageRoot(), 'dist', 'workflow-bundle.js');
}

/** Called by the build. */
export async function writeBundle(): Promise<void> {
  const { code } = await bundleWorkflows();
  await mkdir(path.dirname(builtBundlePath()), { recursive: true });
  const temporary = `${builtBundlePath()}.${process.pid}`;
  await writeFile(temporary, code);
  await rename(temporary, builtBundlePath());
}
