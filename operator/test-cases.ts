/** The files of `pipelines/ID/tests`: YAML, one case a document. */
import { existsSync } from 'node:fs';
import { readdir, readFile } from 'node:fs/promises';
import path from 'node:path';
import { LineCounter, parseAllDocuments } from 'yaml';
import { z } from 'zod';
import { AlmanacError } from '../pipelines/failures';

const value = z.union([z.string(), z.number(), z.bigint(), z.boolean(), z.null()]);
const rows = z.array(z.record(z.string(), value));

const caseSchema = z.strictObject({
  /** What the case shows. */
  name: z.string().min(1),
  /** The compute stage whose text runs. */
  stage: z.string().min(1),
  window: z.string().min(1),
  /** Runs the stage's bootstrap text instead. */
  bootstrap: z.boolean().optional(),
  params: z.record(z.string(), z.union([z.string(), z.boolean(), z.number(), z.bigint().transform(Number)])).optional(),
  /** Rows of everything the stage reads, by `DATASET` or `previous:DATASET`; columns left out are NULL. */
  given: z.record(z.string(), rows),
  /** Rows the stage returns, in any order; only columns that some row names are compared. */
  expect: rows,
});

export type TestCase = z.infer<typeof caseSchema>;
export type CaseRow = Readonly<Record<string, z.infer<typeof value>>>;

/** A case, or why there is none, with its place `FILE:LINE` relative to the project. */
export type LoadedCase = { readonly place: string } & ({ readonly test: TestCase } | { readonly error: AlmanacError });

/** All cases of a pipeline in the order of files and documents; none when it has no tests. */
export async function loadCases(directory: string, pipeline: string): Promise<LoadedCase[]> {
  const folder = path.join('pipelines', pipeline, 'tests');
  if (!existsSync(path.join(directory, folder))) return [];
  const names = (await readdir(path.join(directory, folder))).filter((name) => /\.ya?ml$/.test(name)).sort();
  const files = names.map(async (name) => parseCases(await readFile(path.join(directory, folder, name), 'utf8'), path.join(folder, name)));
  return (await Promise.all(files)).flat();
}

/** The cases of one file's text. */
export function parseCases(text: string, file: string): LoadedCase[] {
  const lines = new LineCounter();
  // Whole numbers beyond doubles stay exact.
  const documents = parseAllDocuments(text, { lineCounter: lines, intAsBigInt: true });
  if (documents.length === 0) return [{ place: `${file}:1`, error: invalidCase(`${file}:1`, 'the file holds no case') }];
  return documents.map((document): LoadedCase => {
    const [fault] = document.errors;
    if (fault !== undefined) {
      const place = `${file}:${fault.linePos?.[0].line ?? 1}`;
      return { place, error: invalidCase(place, fault.message.split('\n')[0]?.replace(/ at line \d+.*$/, '') ?? '') };
    }
    const place = `${file}:${lines.linePos(document.contents?.range?.[0] ?? 0).line}`;
    const parsed = caseSchema.safeParse(document.toJS());
    if (parsed.success) return { place, test: parsed.data };
    const [issue] = parsed.error.issues;
    const at = issue?.path.join('.') ?? '';
    return { place, error: invalidCase(place, `${at === '' ? '' : `${at}: `}${issue?.message ?? 'not a case'}`) };
  });
}

export function invalidCase(place: string, reason: string): AlmanacError {
  return new AlmanacError('test.invalid', `The test at ${place} cannot be run: ${reason}.`, {
    next: `Correct ${place}.`,
    details: { place },
  });
}
