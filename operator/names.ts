/** Names people pass to filters: an unknown one is an error, not an empty answer. */
import { nearest } from '../lib/nearest';
import { AlmanacError } from '../pipelines/failures';
import type { OperatorSession } from './session';

/** Throws `pipeline.unknown` for a pipeline that the project does not declare and that never ran. */
export async function requirePipeline(
  { database, project }: Pick<OperatorSession, 'database' | 'project'>,
  pipeline: string,
): Promise<void> {
  const { rows } = await database.query<{ pipeline: string }>('select distinct pipeline from almanac.run order by pipeline');
  const known = new Set(rows.map((row) => row.pipeline));
  if (known.has(pipeline)) return;
  for (const declared of (await project()).pipelines.keys()) known.add(declared);
  if (known.has(pipeline)) return;
  const names = [...known].sort();
  const meant = nearest(pipeline, names);
  throw new AlmanacError('pipeline.unknown', `There is no pipeline ${JSON.stringify(pipeline)}; there are ${names.join(', ') || 'none'}.`, {
    next: meant === undefined ? 'almanac runs lists what ran; almanac validate what is declared.' : `Did you mean ${meant}?`,
    details: { pipeline, known: names },
  });
}
