import { ChildEnded, StatementFailed, type ChildEnd } from '../../../activities/compute/child';
import { engineFailure, type FailureScene } from '../../../activities/compute/engine-failures';
import { AlmanacError } from '../../../pipelines/failures';

const SCENE: FailureScene = { limits: { memoryBytes: 2 ** 30, threads: 2 }, kernelKilled: false };

function coded(error: unknown, scene: Partial<FailureScene> = {}): AlmanacError {
  const failure = engineFailure(error, { ...SCENE, ...scene });
  if (failure instanceof AlmanacError) return failure;
  throw new Error('the failure has no code');
}

const statement = (message: string): StatementFailed => new StatementFailed(message);
const ended = (end: Partial<ChildEnd>): ChildEnded => new ChildEnded({ exitCode: null, signal: null, stderr: '', killed: false, ...end });

test.each([
  ['engine.sql', 'Binder Error: Referenced column "x" not found'],
  ['engine.sql', 'Conversion Error: Could not convert string to INT32'],
  ['engine.memory', 'Out of Memory Error: failed to allocate data of size 16.0 MiB (95.3 MiB/95.3 MiB used)'],
  [
    'engine.disk',
    "Out of Memory Error: failed to offload data block of size 256.0 KiB. This limit was set by the 'max_temp_directory_size' setting.",
  ],
  ['engine.disk', 'IO Error: Could not write file "/x": No space left on device'],
  ['engine.disk', 'IO Error: Could not write file "/x": File too large'],
  ['engine.disk', "ENOSPC: no space left on device, mkdir '/x'"],
  ['store.unwritable', 'IO Error: Cannot open file "/data/scratch/x.parquet": Permission denied'],
  ['store.unwritable', 'IO Error: Failed to create directory "/spill/x": Read-only file system'],
  ['store.unwritable', "EROFS: read-only file system, mkdir '/spill/session-1'"],
  ['store.unwritable', "EEXIST: file already exists, mkdir '/spill/session-1'"],
  ['engine.lost', 'INTERNAL Error: Attempted to access index 3 within vector of size 3'],
  ['engine.lost', 'FATAL Error: database has been invalidated because of a previous fatal error'],
  ['engine.lost', 'IO Error: Could not read from file "/x": Input/output error'],
])('%s: %s', (code, message) => {
  expect(coded(statement(message)).code).toBe(code);
});

test.each([
  ['killed while the kernel killed for memory', { signal: 'SIGKILL' as const }, true, 'engine.memory'],
  ['killed by somebody', { signal: 'SIGKILL' as const }, false, 'engine.lost'],
  ['killed by us, whatever the kernel did', { signal: 'SIGKILL' as const, killed: true }, true, 'engine.lost'],
  [
    'aborted after an allocation failed',
    { signal: 'SIGABRT' as const, stderr: "terminate called after throwing an instance of 'std::bad_alloc'" },
    false,
    'engine.memory',
  ],
  ['crashed', { signal: 'SIGSEGV' as const }, true, 'engine.lost'],
  ['exited', { exitCode: 1, stderr: 'Cannot find module' }, false, 'engine.lost'],
])('a child that was %s', (_, end, kernelKilled, code) => {
  expect(coded(ended(end), { kernelKilled }).code).toBe(code);
});

test("lines are those of the author's file", () => {
  const error = coded(statement('Parser Error: syntax error at or near "form"\n\nLINE 4: form t\n        ^'), {
    label: { name: 'a.sql', linesBefore: 1 },
  });
  expect(error.details).toMatchObject({ statement: 'a.sql', line: 3 });
  expect(error.message).toMatch(/^a\.sql line 3: Parser Error/);
  expect(error.message).toContain('LINE 3: form t');
});

test("a memory failure names the limit and the variable that raises it, without DuckDB's own advice", () => {
  const error = coded(statement('Out of Memory Error: failed to allocate\n\nPossible solutions:\n* Reducing the number of threads'));
  expect(error.message).toContain('limit 1024 MiB, 2 threads');
  expect(error.message).not.toContain('Possible solutions');
  expect(error.next).toContain('Raise ALMANAC_MEMORY, now 1024MiB,');
});

test('a second try with less memory still names the value the variable has', () => {
  const limits = { memoryBytes: 2 ** 29, threads: 1, configuredBytes: 2 ** 30 };
  const error = coded(statement('Out of Memory Error: failed to allocate'), { limits });
  expect(error.message).toContain('limit 512 MiB, 1 threads');
  expect(error.next).toContain('ALMANAC_MEMORY, now 1024MiB,');
});

describe('where a dataset holds personal data', () => {
  const limits = { ...SCENE.limits, maskValues: true };
  const told = (message: string): AlmanacError => coded(statement(message), { limits, label: { name: 'a.sql' } });

  test.each([
    ["Conversion Error: Could not convert string 'alice@example.com' to INT64", "Conversion Error: Could not convert string '…' to INT64"],
    ["Conversion Error: Could not convert string 'o'brien's' to INT64", "Conversion Error: Could not convert string '…' to INT64"],
    ["Conversion Error: Could not convert string 'two\nlines' to INT32", "Conversion Error: Could not convert string '…' to INT32"],
    [
      'Conversion Error: invalid timestamp field format: "alice", expected format is (YYYY-MM-DD)',
      'Conversion Error: invalid timestamp field format: "…", expected format is (YYYY-MM-DD)',
    ],
    [
      "Conversion Error: Type INT64 with value 4915112345678 can't be cast because the value is out of range for the destination type INT32",
      "Conversion Error: Type INT64 with value … can't be cast because the value is out of range for the destination type INT32",
    ],
    [
      'Out of Range Error: Overflow in multiplication of INT64 (4915112345678 * 99999999999)!',
      'Out of Range Error: Overflow in multiplication of INT64 (… * …)!',
    ],
    [
      'Constraint Error: Duplicate key "user_id: alice" violates primary key constraint.',
      'Constraint Error: Duplicate key "…" violates primary key constraint.',
    ],
    [
      'Invalid Input Error: Malformed JSON at byte 0 of input: unexpected character. Input: "alice@exam',
      'Invalid Input Error: Malformed JSON at byte … of input: unexpected character. Input: "…"',
    ],
    ['Invalid Input Error: CSV Error on Line: 3\nOriginal Line: alice,1', 'Invalid Input Error: CSV Error on Line: …'],
  ])('%j is told without its values', (message, shown) => {
    const { message: said, details } = told(`${message}\n\nLINE 3: select cast(k as bigint)\n               ^`);
    expect(said).toBe(`a.sql line 3: ${shown}\n\nLINE 3: select cast(k as bigint)\n               ^`);
    expect(details).toMatchObject({ line: 3 });
    expect(JSON.stringify(details)).not.toMatch(/alice|brien|two|49151/);
  });

  test('a value that looks like the drawing of a statement is masked with it', () => {
    const { message } = told("Conversion Error: Could not convert string 'alice\n\nLINE 9: x' to INT64\n\nLINE 1: select k");
    expect(message).not.toMatch(/alice|LINE 9/);
  });

  test.each([
    'Binder Error: Referenced column "no_such" not found in FROM clause!\nCandidate bindings: "k", "n"',
    'Catalog Error: Table with name adds_2 does not exist!',
    'Parser Error: syntax error at or near "form"',
  ])('%j names identifiers, and keeps them', (message) => {
    expect(told(message).message).toBe(`a.sql: ${message}`);
  });
});

test('what is not of the engine passes through unchanged', () => {
  const other = new Error("a stage's own");
  expect(engineFailure(other, SCENE)).toBe(other);
});
