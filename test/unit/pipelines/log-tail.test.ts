import fc from 'fast-check';
import { logTail } from '../../../pipelines/log-tail';

const LOG = `26/11/22 01:02:03 INFO SparkContext: Running Spark version 3.5.6
26/11/22 01:02:09 ERROR Executor: Exception in task 0.0 in stage 3.0 (TID 7)
org.apache.spark.SparkNumberFormatException: [CAST_INVALID_INPUT] The value 'mary@example.test' of the type "STRING" cannot be cast to "INT". SQLSTATE: 22018
== SQL (line 3, position 8) ==
\tat org.apache.spark.sql.errors.QueryExecutionErrors$.invalidInputInCastToNumberError(QueryExecutionErrors.scala:145)
\t... 24 more
Command exiting with ret '1', secretKey=abc123
`;

test('the end of a log has what failed, without noise and without secrets', () => {
  const tail = logTail(LOG);
  expect(tail).toContain("The value 'mary@example.test'");
  expect(tail).not.toMatch(/INFO|\\tat |24 more|abc123/);
});

test('of personal data only names of what failed are told', () => {
  expect(logTail(LOG, true).split('\n')).toEqual([
    'org.apache.spark.SparkNumberFormatException [CAST_INVALID_INPUT] SQLSTATE: 22018',
    'line 3, position 8',
  ]);
  expect(logTail('Container killed by YARN for exceeding memory limits. mary; exit code: 137', true)).toBe(
    'exceeding memory limits exit code: 137',
  );
});

test('no value comes through, however an engine quotes it', () => {
  const quotes = ['%', "'%'", '"%"', 'value %: x', '(%)', '%=1', 'java.lang.RuntimeException: % failed', '[%]', 'Text %, pos 1'];
  // Of no quote above, so that it is found only if it came through.
  const value = fc.stringMatching(/^zq[a-z0-9@._ -]{0,30}[a-z0-9]$/);
  fc.assert(
    fc.property(value, fc.constantFrom(...quotes), (text, quote) => {
      expect(logTail(quote.replace('%', text), true)).not.toContain(text);
    }),
  );
});

test('it is of bounded length, in lines and in all, its end kept', () => {
  expect(logTail(Array.from({ length: 100 }, (_, at) => `line ${at}`).join('\r\n')).split('\n')).toEqual(
    Array.from({ length: 20 }, (_, at) => `line ${80 + at}`),
  );
  expect(logTail('')).toBe('');
  const tail = logTail(`${'x'.repeat(5_000)}the end`);
  expect(tail.length).toBeLessThanOrEqual(2_001);
  expect(tail).toMatch(/^…x+the end$/);
});

test.each([
  ['an access key', 'using AKIAIOSFODNN7EXAMPLE now', /IOSFODNN7EXAMPLE/],
  ['a temporary key', 'ASIAIOSFODNN7EXAMPLE', /IOSFODNN7EXAMPLE/],
  ['a signed address', 'GET https://b.s3/x?X-Amz-Credential=me%2Fus&X-Amz-Signature=abcdef0123 failed', /abcdef0123|me%2Fus/],
  ['a session in an address', 'https://b.s3/x?x-amz-security-token=FwoGZXIvYXdzE', /FwoGZXIvYXdzE/],
  ['a password of a setting', 'spark.jdbc.password=hunter2', /hunter2/],
  ['a key of Hadoop', 'fs.s3a.secret.key: wJalrXUtnFEMI', /wJalrXUtnFEMI/],
  ['an access key of a setting', 'fs.s3a.access.key = minioadmin', /minioadmin/],
  ['a token', 'the session_token=abc was refused', /abc/],
])('%s is not shown', (_, line, secret) => {
  const tail = logTail(`before\n${line}\nafter`);
  expect(tail).not.toMatch(secret);
  expect(tail).toMatch(/^before\n.*\*\*\*.*\nafter$/s);
});
