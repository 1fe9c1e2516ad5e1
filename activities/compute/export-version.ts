import { rm } from 'node:fs/promises';
import path from 'node:path';
import { versionSelect } from '../../pipelines/duckdb-sql';
import { quoteName, quoteText } from '../../pipelines/quote-sql';
import type { StageContext } from '../stage';
import type { Manifest } from '../storage/manifest';
import { exportPath } from '../storage/store-paths';

/**
 * Writes the CSV file that the dataset declares, from the committed version and beside it: with header, ordered by its key. Whoever comes
 * second finds it there; one that a killed attempt left out is written by the next.
 */
export async function exportVersion(context: StageContext, manifest: Manifest): Promise<void> {
  const dataset = context.plan.datasets[manifest.dataset];
  if (dataset?.file === undefined) return;
  const target = exportPath(manifest, dataset.file);
  if ((await context.store.list(target.slice(0, target.lastIndexOf('/') + 1))).some(({ path: found }) => found === target)) return;
  await using local = await context.store.localFiles(manifest.files, context.signal);
  const select = versionSelect(
    manifest.columns,
    manifest.files.map((file) => local.path(file.path)),
  );
  const order = (dataset.key ?? Object.keys(dataset.columns)).map(quoteName).join(', ');
  const scratch = await context.store.scratch();
  try {
    const file = path.join(scratch, 'export.csv');
    await context.engine.session(context.limits, context.signal, (session) => {
      context.computing(session.child);
      return session.exec(`copy (from (${select}) order by ${order}) to ${quoteText(file)} (format csv, header true)`);
    });
    await context.point('export.written');
    await context.store.adoptFile(file, target);
    context.log(`wrote ${target}`);
  } finally {
    await rm(scratch, { recursive: true, force: true });
  }
}
