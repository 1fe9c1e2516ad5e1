import { spawnSync } from 'node:child_process';
import { mkdtempSync, rmSync } from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import { packageRoot } from '../../../lib/package-root';
import { cliEnvironment } from '../../support/cli';
import { processesNaming } from '../../support/processes';

test('the spark bench computes the same report on DuckDB and on Spark, and shows what the orchestration around Spark cost', () => {
  const home = mkdtempSync(path.join(os.tmpdir(), 'almanac-bench-'));
  try {
    const bench = path.join(packageRoot(), 'dist', 'bench', 'spark.js');
    const { status, stdout, stderr } = spawnSync(process.execPath, [bench, '--rows', '5000', '--repeats', '1', '--home', home], {
      env: cliEnvironment(path.join(home, 'no-home'), { TMPDIR: home }),
      encoding: 'utf8',
    });
    expect([status, status === 0 ? '' : stdout + stderr]).toEqual([0, '']);
    for (const stage of ['updateUdb', 'countOverlaps', 'aggregate', 'all']) {
      const rows = stdout.split('\n').filter((line) => line.startsWith(`${stage} `));
      expect(rows.map((row) => row.trim().split(/ {2,}/).length)).toEqual([4, 7]);
      expect(rows.join(' ')).not.toContain('NaN');
    }
    expect(stdout).toMatch(/submit to result +Spark's own +overhead/m);
    expect(stdout).toMatch(/^reports equal: duckdb1-[1-9]/m);
    expect(processesNaming(home)).toEqual([]);
  } finally {
    rmSync(home, { recursive: true });
  }
});
