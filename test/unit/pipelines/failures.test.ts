import { readdirSync, readFileSync } from 'node:fs';
import path from 'node:path';
import { packageRoot } from '../../../lib/package-root';
import { AlmanacError, CODES, FAILURE_CLASSES, failureInfo, type CodeEntry, type FailureCode } from '../../../pipelines/failures';
import { failuresDocument } from '../../../pipelines/failures-doc';

const ROOT = packageRoot();
const FOLDERS = ['pipelines', 'workflows', 'activities', 'workers', 'operator', 'cli', 'lib'];

function sources(folder: string): string[] {
  return readdirSync(path.join(ROOT, folder), { recursive: true, encoding: 'utf8' })
    .filter((name) => name.endsWith('.ts'))
    .map((name) => path.join(folder, name));
}

describe('the table of failures', () => {
  const codes = Object.keys(CODES) as FailureCode[];
  const entries: Readonly<Record<string, CodeEntry>> = CODES;

  it('is sorted by code', () => {
    expect(codes).toEqual([...codes].sort());
  });

  it.each(codes)('%s says when and what next in sentences', (code) => {
    expect(code).toMatch(/^[a-z]+(\.[a-z]+(-[a-z]+)*)?$/);
    expect(entries[code]?.when).toMatch(/^[A-Z`].*\.$/);
    expect(entries[code]?.next).toMatch(/^[A-Z`].*\.$/);
  });

  it('has no code that nothing raises', () => {
    const text = FOLDERS.flatMap(sources)
      .filter((file) => file !== path.join('pipelines', 'failures.ts'))
      .map((file) => readFileSync(path.join(ROOT, file), 'utf8'))
      .join('\n');
    expect(codes.filter((code) => !text.includes(`'${code}'`))).toEqual([]);
  });

  it('gives each class an exit code of its own that no shell uses', () => {
    const exits = Object.values(FAILURE_CLASSES).map(({ exitCode }) => exitCode);
    expect(new Set(exits).size).toBe(exits.length);
    for (const exit of exits) expect(exit).toBeGreaterThan(2);
    for (const exit of exits) expect(exit).toBeLessThan(126);
  });
});

describe('docs/errors.md', () => {
  it('is what the table says; else run `npm run docs:errors`', () => {
    expect(readFileSync(path.join(ROOT, 'docs/errors.md'), 'utf8')).toBe(failuresDocument());
  });
});

describe('AlmanacError', () => {
  const cause = new Error('below');
  const error = new AlmanacError('window.open', 'It is not over.', { next: 'Wait.', details: { window: '2026-11-20' }, cause });

  it('has the class and exit code of its code, and keeps its cause', () => {
    expect(error).toMatchObject({ name: 'AlmanacError', class: 'refused', exitCode: 5, cause });
  });

  it('travels as plain data without cause or stack', () => {
    expect(JSON.parse(JSON.stringify(failureInfo(error)))).toEqual({
      code: 'window.open',
      class: 'refused',
      message: 'It is not over.',
      next: 'Wait.',
      details: { window: '2026-11-20' },
    });
  });
});
