import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import os from 'node:os';
import path from 'node:path';

/** A project in a temporary directory, as someone who installed Almanac writes one; removed with its scope. */
export class ForeignProject implements Disposable {
  readonly directory = mkdtempSync(path.join(os.tmpdir(), 'almanac-project-'));

  constructor(files: Readonly<Record<string, string>>) {
    this.write(files);
  }

  write(files: Readonly<Record<string, string>>): void {
    for (const [name, text] of Object.entries(files)) {
      const file = path.join(this.directory, name);
      mkdirSync(path.dirname(file), { recursive: true });
      writeFileSync(file, text);
    }
  }

  [Symbol.dispose](): void {
    rmSync(this.directory, { recursive: true, force: true });
  }
}

/** One ordered pipeline `plays`: what each user played, in buckets, with a gate and a live table. */
export const PLAYS: Readonly<
  Record<'almanac.config.ts' | 'pipelines/plays/pipeline.ts' | 'pipelines/plays/sql/add.sql' | 'pipelines/plays/sql/all.sql', string>
> = {
  'almanac.config.ts': `import { defineProject } from 'almanac';
import { plays } from './pipelines/plays/pipeline';
export default defineProject({ pipelines: [plays] });
`,
  'pipelines/plays/pipeline.ts': `import { check, compute, daily, definePipeline, ingest, previous, publish } from 'almanac';
export const plays = definePipeline({
  id: 'plays', owner: 'music', window: daily(), chain: 'ordered', params: { floor: 1 },
  datasets: {
    plays: { columns: { user_id: 'text', ts: 'timestamp' }, buckets: { by: 'user_id', count: 4 } },
    totals: {
      kind: 'state', columns: { user_id: 'text', plays: 'bigint', share: 'double' }, key: ['user_id'], buckets: { by: 'user_id', count: 4 },
    },
  },
  stages: {
    read: ingest({ landing: 'plays', writes: 'plays', eventTime: 'ts' }),
    add: compute({
      reads: { added: 'plays', before: previous('totals') }, sql: 'add.sql', bootstrap: 'all.sql', writes: 'totals', each: 'bucket',
    }),
    judge: check({
      suite: { checks: [{ id: 'few', dataset: 'totals', measure: { metric: 'rows-where', predicate: 'plays < 1' }, fail: { max: 0 }, why: 'Nobody played less than once.' }] },
    }),
    publish: publish({ needs: ['judge'], mode: 'newest', tables: { play_totals: { from: 'totals', key: ['user_id'] } } }),
  },
});
`,
  'pipelines/plays/sql/add.sql': `select user_id, sum(n)::bigint as plays, 1 / 3.0 as share
from (
  select user_id, 1 as n from added where ts < $window_end
  union all
  select user_id, plays from before
)
group by user_id
having sum(n) >= $floor;
`,
  'pipelines/plays/sql/all.sql':
    'select user_id, count(*) as plays, cast(0 as double) as share from added where ts < $window_end group by user_id',
};
