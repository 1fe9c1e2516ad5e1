import { mkdtempSync, rmSync } from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import { createDuckDbEngine } from '../activities/compute/duckdb-engine';
import type { Engine } from '../activities/compute/engine';

/** A DuckDB for one command, in a directory that ends with it. */
export function createScratchEngine(): AsyncDisposable & { readonly engine: Engine } {
  const scratch = mkdtempSync(path.join(os.tmpdir(), 'almanac-scratch-'));
  const engine = createDuckDbEngine({ scratch, maxChildren: 1 });
  return {
    engine,
    async [Symbol.asyncDispose]() {
      await engine.close();
      rmSync(scratch, { recursive: true, force: true });
    },
  };
}
