/** The demos on generated data: organic-share week by week, listener-profiles day by day. */
import { randomUUID } from 'node:crypto';
import { mkdir, rm, writeFile } from 'node:fs/promises';
import path from 'node:path';
import { AlmanacError } from '../pipelines/failures';
import { generateAcquisitions, generateTracks, LISTENER_WINDOWS, ORGANIC_WINDOWS, type GeneratedFiles } from './demo-generated';
import { landDemo } from './demo-land';
import { isOurs, placeReference, placeSource, type DemoMark } from './demo-places';
import { runDemoWindow, type DemoOptions, type DemoWindow } from './demo-window';
import type { OperatorSession } from './session';

interface SmallDemo {
  readonly windows: readonly string[];
  readonly source: string;
  /** A dataset whose lineage is worth a look. */
  readonly dataset: string;
  readonly generate: () => GeneratedFiles;
  /** Of the live tables, in one statement, so of one publication. */
  readonly report: string;
}

const SMALL_DEMOS: Readonly<Partial<Record<string, SmallDemo>>> = {
  'organic-share': {
    windows: ORGANIC_WINDOWS,
    source: 'acquisitions',
    dataset: 'organic_share',
    generate: generateAcquisitions,
    report: `select year::text || '-W' || lpad(week::text, 2, '0') as week,
       max(round((100 * share_organic_p4w)::numeric, 1)::text || ' %') filter (where country = 'FR') as "FR",
       max(round((100 * share_organic_p4w)::numeric, 1)::text || ' %') filter (where country = 'GB') as "GB",
       max(round((100 * share_organic_p4w)::numeric, 1)::text || ' %') filter (where country = 'IT') as "IT"
     from organic_share group by year, week order by year, week`,
  },
  'listener-profiles': {
    windows: LISTENER_WINDOWS,
    source: 'tracks',
    dataset: 'listens',
    generate: generateTracks,
    report: `select metric, round(mean::numeric, 2)::text as mean, round(variance::numeric, 2)::text as variance, min::text as min, max::text as max,
       non_zeros::text as non_zeros, count::text as count from listener_averages order by metric`,
  },
};

/** One window of the demo, as its progress line tells it. */
export interface SmallDemoWindow extends DemoWindow {
  readonly landed: number;
  readonly quarantined: number;
  /** Checks that warn. */
  readonly warned: readonly string[];
  readonly publication: number | null;
}

export interface SmallDemoAnswer {
  readonly pipeline: string;
  readonly dataset: string;
  readonly windows: readonly SmallDemoWindow[];
  readonly report: readonly Readonly<Record<string, string | null>>[];
}

/** Throws `run.usage` for a pipeline without a demo on generated data. */
export function requireDemo(pipeline: string): SmallDemo {
  const demo = SMALL_DEMOS[pipeline];
  if (demo !== undefined) return demo;
  throw new AlmanacError('run.usage', `there is no demo of ${pipeline}`, {
    next: `almanac demo shows audience-index; others are ${Object.keys(SMALL_DEMOS).join(' and ')}`,
  });
}

/** Writes the generated data and runs their windows; what is accepted already is not computed again. Throws `demo.data-taken`. */
export async function runSmallDemo(
  session: OperatorSession,
  pipeline: string,
  options: DemoOptions,
  window: (window: SmallDemoWindow) => void,
): Promise<SmallDemoAnswer> {
  const demo = requireDemo(pipeline);
  const { signal, tell } = options;
  const written = await landDemo(session, (root) => writeGenerated(root, demo, pipeline));
  tell(written ? `wrote generated landing data of ${demo.source}` : 'the landing data are there already');
  const windows: SmallDemoWindow[] = [];
  for (const key of demo.windows.slice(0, options.windows)) {
    signal.throwIfAborted();
    const { ran, outputs: standing } = await runDemoWindow(session, { pipeline, window: key }, options);
    const outputs = Object.values(standing).map(({ output }) => output);
    const done: SmallDemoWindow = {
      ...ran,
      landed: outputs.filter(({ quarantined }) => quarantined !== undefined).reduce((sum, { rowsOut }) => sum + rowsOut, 0),
      quarantined: outputs.flatMap(({ quarantined }) => Object.values(quarantined ?? {})).reduce((sum, rows) => sum + rows, 0),
      warned: outputs.flatMap(({ gate }) => gate?.warned ?? []),
      publication: outputs.find(({ publication }) => publication !== undefined)?.publication ?? null,
    };
    windows.push(done);
    window(done);
  }
  const { rows } = await session.database.query<Record<string, string | null>>(demo.report);
  return { pipeline, dataset: demo.dataset, windows, report: rows };
}

/** False when an earlier demo wrote them. Each folder is made in scratch and moved into place whole. */
async function writeGenerated(root: string, { source, generate }: SmallDemo, pipeline: string): Promise<boolean> {
  const mark: DemoMark = { file: 'GENERATED.md', content: Buffer.from(`Made up by \`almanac demo ${pipeline}\`.\n`) };
  const present = await isOurs(root, source, mark);
  const scratch = path.join(root, 'scratch', `demo-${randomUUID()}`);
  try {
    for (const [file, content] of generate()) {
      const made = path.join(scratch, file);
      await mkdir(path.dirname(made), { recursive: true });
      await writeFile(made, content);
      if (file.startsWith('reference/')) await placeReference(root, made, path.basename(file));
    }
    if (!present) {
      await writeFile(path.join(scratch, 'landing', source, mark.file), mark.content);
      await placeSource(root, path.join(scratch, 'landing', source), source, mark);
    }
  } finally {
    await rm(scratch, { recursive: true, force: true });
  }
  return !present;
}
