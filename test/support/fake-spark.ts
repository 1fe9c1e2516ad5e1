/** A spark-submit that carries out orders without a JVM, and its journal. */
import { existsSync, readFileSync } from 'node:fs';
import path from 'node:path';
import { writeProgram } from './source-process';

/** What the job exits with when another one has the token. */
export const DUPLICATE = 3;

export type JobAct = 'begun' | 'claimed' | 'duplicate' | 'wrote' | 'put';

export interface JobNote {
  readonly act: JobAct;
  /** URI of its order. */
  readonly order: string;
  readonly submission: string;
  readonly step: string;
  readonly pid: number;
}

export interface FakeSpark {
  readonly sparkSubmit: string;
  /** What jobs did until now, in that order. */
  notes(): readonly JobNote[];
  /** Options of a submission; a job pauses before it computes, and a quarter of that before and after it puts its result. */
  options(job: { readonly pauseMs: number; readonly claims?: boolean }): string[];
}

export function fakeSpark(directory: string): FakeSpark {
  const journal = path.join(directory, 'journal');
  return {
    sparkSubmit: writeProgram(path.join(directory, 'spark-submit'), 'fake-spark-job.ts'),
    notes: () =>
      !existsSync(journal)
        ? []
        : readFileSync(journal, 'utf8')
            .split('\n')
            .filter((line) => line !== '')
            .map((line) => JSON.parse(line) as JobNote),
    options: ({ pauseMs, claims = true }) =>
      [`test.journal=${journal}`, `test.pause=${pauseMs}`, ...(claims ? [] : ['test.claims=no'])].flatMap((conf) => [
        '--conf',
        `spark.almanac.${conf}`,
      ]),
  };
}
