/** Which engine computes a stage. Both come to the same rows, so nothing is made anew because the answer changed. */
import { AlmanacError } from './failures';
import { parseSize } from './size';
import type { ComputeSpec, EngineName } from './types';

export const ENGINE_NAMES = ['duckdb', 'spark'] as const satisfies readonly EngineName[];

/** How engines are called in sentences. */
export const ENGINE_TITLES: Readonly<Record<EngineName, string>> = { duckdb: 'DuckDB', spark: 'Spark' };

export interface EngineQuestion {
  /** What the stage declares. */
  readonly declared: ComputeSpec['engine'];
  /** What the run was told with `--engine`: it wins over what stages declare, but a join point stays one. */
  readonly forced: EngineName | undefined;
  /** Bytes of the versions the stage reads. */
  readonly bytesIn: number;
}

export function chosenEngine({ declared, forced, bytesIn }: EngineQuestion): EngineName | 'none' {
  if (declared === 'none') return 'none';
  if (forced !== undefined) return forced;
  if (typeof declared === 'object') return bytesIn > limitOf(declared.sparkAbove) ? 'spark' : 'duckdb';
  return declared ?? 'duckdb';
}

/** What decided, in words that go on after "computes on DuckDB: "; undefined where nobody said anything. */
export function engineReason({ declared, forced, bytesIn }: EngineQuestion): string | undefined {
  if (declared === undefined && forced === undefined) return undefined;
  if (forced !== undefined) return `the run was started with --engine ${forced}`;
  if (typeof declared !== 'object') return 'the stage declares it';
  const above = bytesIn > limitOf(declared.sparkAbove);
  return `its inputs hold ${bytesIn} bytes, ${above ? 'more than' : 'which is not above'} the ${declared.sparkAbove} of sparkAbove`;
}

/** Whether some input may be so large that Spark computes the stage. */
export function mayUseSpark(declared: ComputeSpec['engine'], forced: EngineName | undefined): boolean {
  return chosenEngine({ declared, forced, bytesIn: Number.MAX_SAFE_INTEGER }) === 'spark';
}

export function isEngineName(text: string): text is EngineName {
  return ENGINE_NAMES.some((name) => name === text);
}

/** A declaration is held to the form of a size before it is planned. */
function limitOf(size: string): number {
  const bytes = parseSize(size);
  if (bytes !== undefined) return bytes;
  throw new AlmanacError('pipeline.invalid', `"${size}" of sparkAbove is no size such as 20GB.`, {
    next: 'Correct the size in the declaration, then run `almanac validate`.',
  });
}
