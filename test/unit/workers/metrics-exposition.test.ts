import fc from 'fast-check';
import { Counter, Gauge, Histogram, Registry, Summary } from 'prom-client';
import { parseExposition, sampleOf } from '../../support/exposition';

/** What every scrape of our tests is read with: it must take all that is well formed and nothing else. */
const WELL_FORMED = `# HELP http_requests_total The total number of \\\\ HTTP\\nrequests.
# TYPE http_requests_total counter
http_requests_total{method="post",code="200"} 1027 1395066363000
http_requests_total{method="post",code="400",}    3 1395066363000

# Escaping in label values, and a comment that is one:
msdos_file_access_time_seconds{path="C:\\\\DIR\\\\FILE.TXT",error="Cannot find file:\\n\\"FILE.TXT\\""} 1.458255915e9
metric_without_timestamp_and_labels 12.47
something_weird{problem="division by zero"} +Inf -3982045
\tblanks { a = "b" , c = "d" }\t-.5e-3 \t
# TYPE http_request_duration_seconds histogram
http_request_duration_seconds_bucket{le="0.05"} 24054
http_request_duration_seconds_bucket{le="1"} 133988
http_request_duration_seconds_bucket{le="+Inf"} 144320
http_request_duration_seconds_sum 53423
http_request_duration_seconds_count 144320
# TYPE rpc_duration_seconds summary
# HELP rpc_duration_seconds Help may follow the type.
rpc_duration_seconds{quantile="0.5"} NaN
rpc_duration_seconds{quantile="0.99"} 76656
rpc_duration_seconds_sum 1.7560473e+07
rpc_duration_seconds_count 2693
`;

test('what is well formed is read whole', () => {
  const families = parseExposition(WELL_FORMED);
  expect([...families.values()].map(({ name, type, samples }) => `${name} ${type} ${samples.length}`)).toEqual([
    'http_requests_total counter 2',
    'msdos_file_access_time_seconds untyped 1',
    'metric_without_timestamp_and_labels untyped 1',
    'something_weird untyped 1',
    'blanks untyped 1',
    'http_request_duration_seconds histogram 5',
    'rpc_duration_seconds summary 4',
  ]);
  expect(families.get('http_requests_total')?.help).toBe('The total number of \\ HTTP\nrequests.');
  expect(families.get('rpc_duration_seconds')?.help).toBe('Help may follow the type.');
  expect(sampleOf(families, 'http_requests_total', { code: '200' })).toEqual({
    name: 'http_requests_total',
    labels: { method: 'post', code: '200' },
    value: 1027,
    timestamp: 1395066363000,
  });
  expect(sampleOf(families, 'msdos_file_access_time_seconds').labels).toEqual({
    path: 'C:\\DIR\\FILE.TXT',
    error: 'Cannot find file:\n"FILE.TXT"',
  });
  expect(sampleOf(families, 'something_weird')).toMatchObject({ value: Infinity, timestamp: -3982045 });
  expect(sampleOf(families, 'blanks')).toMatchObject({ labels: { a: 'b', c: 'd' }, value: -0.0005 });
  expect(sampleOf(families, 'rpc_duration_seconds', { quantile: '0.5' }).value).toBeNaN();
});

test.each([
  ['no line feed at the end', 'a 1', 'line feed'],
  ['a carriage return', 'a 1\r\n', 'no value'],
  ['no value', 'a\n', 'a value is expected'],
  ['a value that is none', 'a one\n', 'no value'],
  ['a hexadecimal value', 'a 0x1\n', 'no value'],
  ['a timestamp with a fraction', 'a 1 2.5\n', 'timestamp'],
  ['anything after the timestamp', 'a 1 2 3\n', 'timestamp'],
  ['a name that begins with a digit', '1a 1\n', 'a metric name'],
  ['a name with a dash', 'a-b 1\n', 'no value'],
  ['a label without quotes', 'a{b=c} 1\n', 'not quoted'],
  ['a label without a value', 'a{b} 1\n', 'has no value'],
  ['a label with a colon', 'a{b:c="d"} 1\n', 'has no value'],
  ['a label twice', 'a{b="1",b="2"} 1\n', 'twice'],
  ['the reserved label', 'a{__name__="b"} 1\n', 'reserved'],
  ['labels without a comma', 'a{b="1" c="2"} 1\n', 'comma'],
  ['labels with two commas', 'a{b="1",,c="2"} 1\n', 'label name'],
  ['labels that are not closed', 'a{b="1" 1\n', 'closing brace'],
  ['a label value that is not closed', 'a{b="1} 1\n', 'not closed'],
  ['a raw line feed in a label value', 'a{b="1\n2"} 1\n', 'not closed'],
  ['an unknown escape in a label value', 'a{b="\\t"} 1\n', 'escape'],
  ['an unknown escape in a help text', '# HELP a \\"x\\"\n', 'escape'],
  ['the same series twice', 'a{b="1",c="2"} 1\na{c="2",b="1"} 1\n', 'twice'],
  ['a second HELP', '# HELP a x\n# HELP a x\na 1\n', 'second HELP'],
  ['a second TYPE', '# TYPE a gauge\n# TYPE a gauge\na 1\n', 'second TYPE'],
  ['a TYPE after samples', 'a 1\n# TYPE a gauge\n', 'after its samples'],
  ['a HELP after samples', 'a 1\n# HELP a x\n', 'after its samples'],
  ['an unknown type', '# TYPE a guage\na 1\n', 'no known type'],
  ['a type with more words', '# TYPE a gauge really\na 1\n', 'no known type'],
  ['a HELP without a name', '# HELP\n', 'a metric name'],
  ['a family in two groups', 'a{b="1"} 1\nc 1\na{b="2"} 1\n', 'not one group'],
  ['an exposition twice', WELL_FORMED + WELL_FORMED, 'not one group'],
  ['a counter below 0', '# TYPE a counter\na -1\n', 'counter a'],
  ['a counter that is not a number', '# TYPE a counter\na NaN\n', 'counter a'],
  ['a plain sample of a histogram', '# TYPE a histogram\na 1\n', 'no sample of a histogram'],
  ['a histogram without +Inf', '# TYPE a histogram\na_bucket{le="1"} 1\na_sum 1\na_count 1\n', '+Inf'],
  ['a histogram without buckets', '# TYPE a histogram\na_sum 1\na_count 1\n', '+Inf'],
  ['a bucket without a bound', '# TYPE a histogram\na_bucket 1\na_sum 1\na_count 1\n', 'without a bucket'],
  [
    'buckets out of order',
    '# TYPE a histogram\na_bucket{le="2"} 1\na_bucket{le="1"} 1\na_bucket{le="+Inf"} 1\na_sum 1\na_count 1\n',
    'not in order',
  ],
  [
    'one bound in two spellings',
    '# TYPE a histogram\na_bucket{le="1"} 1\na_bucket{le="1.0"} 1\na_bucket{le="+Inf"} 1\na_sum 1\na_count 1\n',
    'not in order',
  ],
  [
    'buckets that are not cumulative',
    '# TYPE a histogram\na_bucket{le="1"} 2\na_bucket{le="+Inf"} 1\na_sum 1\na_count 1\n',
    'not cumulative',
  ],
  ['a count other than that of +Inf', '# TYPE a histogram\na_bucket{le="+Inf"} 1\na_sum 1\na_count 2\n', 'not that of its +Inf'],
  ['a histogram without a sum', '# TYPE a histogram\na_bucket{le="+Inf"} 1\na_count 1\n', 'lacks its sum'],
  [
    'one series of a histogram without +Inf',
    '# TYPE a histogram\na_bucket{b="1",le="+Inf"} 1\na_sum{b="1"} 1\na_count{b="1"} 1\na_sum{b="2"} 1\n',
    '+Inf',
  ],
  ['a quantile above 1', '# TYPE a summary\na{quantile="99"} 1\na_sum 1\na_count 1\n', 'quantile'],
  ['a summary without a count', '# TYPE a summary\na{quantile="0.5"} 1\na_sum 1\n', 'lacks its sum or its count'],
  [
    'a name inside another family',
    '# TYPE a histogram\na_bucket{le="+Inf"} 1\na_sum 1\na_count 1\n# TYPE a_count gauge\na_count 1\n',
    'a name of both',
  ],
])('%s is refused', (_, text, problem) => {
  expect(() => parseExposition(text)).toThrow(problem);
});

test('whatever the client library renders, of any text in labels and help, is read back as it was', async () => {
  const text = fc.oneof(fc.string({ unit: 'binary' }), fc.constantFrom('\\', '"', '\n', '\\n', '}', ',', ' # HELP x'));
  await fc.assert(
    fc.asyncProperty(
      fc.uniqueArray(text, { minLength: 1, maxLength: 6 }),
      fc.double({ noNaN: true }),
      text,
      async (values, value, words) => {
        const help = `x${words.replace(/^\s+/, '')}`;
        const registry = new Registry();
        const registers = [registry];
        const gauge = new Gauge({ name: 'g', help, labelNames: ['l'], registers });
        const counter = new Counter({ name: 'c_total', help, labelNames: ['l'], registers });
        const histogram = new Histogram({ name: 'h', help, labelNames: ['l'], buckets: [1, 5], registers });
        const summary = new Summary({ name: 's', help, labelNames: ['l'], registers });
        for (const l of values) {
          gauge.set({ l }, value);
          counter.inc({ l }, 2.5);
          histogram.observe({ l }, 3);
          summary.observe({ l }, 3);
        }
        const families = parseExposition(await registry.metrics());
        expect([...families.keys()]).toEqual(['g', 'c_total', 'h', 's']);
        for (const family of families.values()) expect(family.help).toBe(help);
        for (const l of values) {
          expect(sampleOf(families, 'g', { l }).value).toBe(Object.is(value, -0) ? 0 : value);
          expect(sampleOf(families, 'c_total', { l }).value).toBe(2.5);
          expect(sampleOf(families, 'h_bucket', { l, le: '5' }).value).toBe(1);
          expect(sampleOf(families, 's_sum', { l }).value).toBe(3);
        }
      },
    ),
    { numRuns: 100 },
  );
});
