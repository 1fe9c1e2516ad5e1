/**
 * What the Spark job does, without a JVM: claims the token of its order first, computes the text by DuckDB, writes the file, and puts the result
 * last. Notes each act in a journal, before the store could be told of it, so that a test knows what ran whatever the store says.
 */
import { appendFileSync, linkSync, mkdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { setTimeout as pause } from 'node:timers/promises';
import { hashFile } from '../../activities/storage/sealed-file';
import type { SparkOrder, SparkResult } from '../../pipelines/spark-order';
import { DUPLICATE, type JobAct, type JobNote } from './fake-spark';
import { writeRows } from './written-rows';

const words = process.argv.slice(2);
const conf = (name: string): string | undefined =>
  words.find((word) => word.startsWith(`spark.almanac.${name}=`))?.slice(`spark.almanac.${name}=`.length);
const orderUri = words.at(-1) ?? '';
const submission = conf('submission') ?? '';
const pauseMs = Number(conf('test.pause') ?? 0);

function note(act: JobAct): void {
  const line: JobNote = { act, order: orderUri, submission, step: process.env['EMR_STEP_ID'] ?? '', pid: process.pid };
  appendFileSync(conf('test.journal') ?? '/dev/null', `${JSON.stringify(line)}\n`);
}

/** False when something is there. */
function putIfAbsent(uri: string, body: string): boolean {
  const file = localPath(uri);
  mkdirSync(path.dirname(file), { recursive: true });
  const temporary = `${file}.${process.pid}`;
  writeFileSync(temporary, body);
  try {
    linkSync(temporary, file);
    return true;
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'EEXIST') return false;
    throw error;
  } finally {
    rmSync(temporary);
  }
}

function localPath(uri: string): string {
  return uri.replace(/^file:\/\//, '');
}

async function main(): Promise<void> {
  const order = JSON.parse(readFileSync(localPath(orderUri), 'utf8')) as SparkOrder;
  note('begun');
  if (conf('test.claims') !== 'no' && !putIfAbsent(order.token, JSON.stringify({ submission, job: String(process.pid) }))) {
    note('duplicate');
    console.error('almanac: duplicate: another job has the token');
    process.exit(DUPLICATE);
  }
  note('claimed');
  await pause(pauseMs);
  const { folder, prefix, columns, key } = order.output;
  const name = `${prefix}${process.pid}-${Date.now()}.parquet`;
  mkdirSync(localPath(folder), { recursive: true });
  const dataset = { columns: Object.fromEntries(columns.map((column) => [column.name, column.type])), ...(key && { key }) };
  const { profile, duplicateKeys } = await writeRows(order.text, order.views, dataset, localPath(folder) + name);
  const seal = await hashFile(localPath(folder) + name);
  const result: SparkResult = {
    format: 1,
    written: {
      files: [{ name, rows: profile.rows, ...seal }],
      digest: profile.digest,
      profiles: columns.map((column) => profile.columns[column.name] ?? { nulls: 0, min: null, max: null }),
      ...(key && { duplicateKeys }),
      cpuSeconds: process.cpuUsage().user / 1e6,
      peakMemoryBytes: process.memoryUsage.rss(),
    },
  };
  note('wrote');
  await pause(pauseMs / 4);
  putIfAbsent(order.result, JSON.stringify(result));
  note('put');
  await pause(pauseMs / 4);
}

main().catch((error: unknown) => {
  console.error(error);
  process.exit(1);
});
