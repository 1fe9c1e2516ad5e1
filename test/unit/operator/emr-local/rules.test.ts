import fc from 'fast-check';
import { localCommand } from '../../../../operator/emr-local/command';
import { exceptionLine } from '../../../../operator/emr-local/exception-line';
import { meet, NO_FAULTS, type Fault } from '../../../../operator/emr-local/faults';
import { logFileUri } from '../../../../operator/emr-local/log-keeper';
import { pageOf } from '../../../../operator/emr-local/paging';
import { sparkDefaults } from '../../../../operator/emr-local/spark-tools';
import { addedTags, removedTags } from '../../../../operator/emr-local/tags';
import { draw, parseRate, type Bucket } from '../../../../operator/emr-local/throttle';

describe('a token bucket', () => {
  it('lets no more through in any span than its burst and what came in since', () => {
    const waits = fc.array(fc.integer({ min: 0, max: 5000 }), { maxLength: 60 });
    fc.assert(
      fc.property(waits, fc.integer({ min: 1, max: 50 }), fc.integer({ min: 1, max: 20 }), (pauses, perSecond, burst) => {
        let bucket: Bucket | undefined;
        let now = 0;
        const allowed: number[] = [];
        for (const pause of pauses) {
          now += pause;
          const drawn = draw(bucket, { perSecond, burst }, now);
          if (drawn.allowed) allowed.push(now);
          bucket = drawn.bucket;
        }
        for (const [first, from] of allowed.entries())
          for (const [last, to] of allowed.entries())
            if (last >= first) expect(last - first + 1).toBeLessThanOrEqual(burst + ((to - from) / 1000) * perSecond + 1e-6);
      }),
    );
  });

  it('is refilled by time, and by no clock that goes back', () => {
    const rate = { perSecond: 1, burst: 1 };
    const first = draw(undefined, rate, 10_000);
    expect(first.allowed).toBe(true);
    expect(draw(first.bucket, rate, 10_500).allowed).toBe(false);
    expect(draw(first.bucket, rate, 11_000).allowed).toBe(true);
    expect(draw(draw(first.bucket, rate, 0).bucket, rate, 10_900).allowed).toBe(false);
  });

  it.each([
    ['10', { perSecond: 10, burst: 10 }],
    ['0.5', { perSecond: 0.5, burst: 1 }],
    ['10:20', { perSecond: 10, burst: 20 }],
    ['0', undefined],
    ['10:0', undefined],
    ['x', undefined],
    ['', undefined],
  ])('of the rate %j', (text, rate) => {
    expect(parseRate(text)).toEqual(rate);
  });
});

describe('pages', () => {
  it('hand out every item once and in order, whatever is put in front meanwhile', () => {
    fc.assert(
      fc.property(fc.nat(40), fc.integer({ min: 1, max: 7 }), fc.array(fc.nat(3), { maxLength: 20 }), (count, size, added) => {
        let items = Array.from({ length: count }, (_, index) => ({ id: `${count - index}` }));
        const before = items;
        const seen: string[] = [];
        let marker: string | undefined;
        do {
          const page = pageOf(items, marker, size);
          expect(page.items.length).toBeLessThanOrEqual(size);
          seen.push(...page.items.map(({ id }) => id));
          marker = page.marker;
          items = [...Array.from({ length: added.shift() ?? 0 }, (_, index) => ({ id: `new-${items.length + index}` })), ...items];
        } while (marker !== undefined);
        expect(seen).toEqual(before.map(({ id }) => id));
      }),
    );
  });
});

describe('faults', () => {
  const fault = (kind: Fault['fault'], count = 1, operation?: Fault['operation']): Fault => ({
    fault: kind,
    count,
    milliseconds: 0,
    ...(operation === undefined ? {} : { operation }),
  });

  it('befall as many requests as were ordered, one of each kind at a time, of their operation only', () => {
    let faults = { ...NO_FAULTS, pending: [fault('throttle', 2, 'ListSteps'), fault('delay-request'), fault('throttle')] };
    const kinds = (operation: string): readonly string[] => {
      const met = meet(faults, operation);
      faults = { ...met.faults, pending: [...met.faults.pending] };
      return met.met.map((one) => one.fault);
    };
    expect(kinds('ListSteps')).toEqual(['throttle', 'delay-request']);
    expect(kinds('RunJobFlow')).toEqual(['throttle']);
    expect(kinds('RunJobFlow')).toEqual([]);
    expect(kinds('ListSteps')).toEqual(['throttle']);
    expect(kinds('ListSteps')).toEqual([]);
    expect(faults.befallen).toEqual({ 'throttle': 3, 'delay-request': 1 });
  });
});

describe('the local command of a step', () => {
  const tools = { sparkSubmit: '/spark/bin/spark-submit', cores: 3 };
  const of = (...args: string[]): unknown => localCommand({ Jar: 'command-runner.jar', Args: args }, tools);

  it('takes threads for YARN and lets the driver run in the step; the job keeps its own words', () => {
    const order = ['--deploy-mode', 'cluster', '--master', 'yarn'];
    expect(
      of('spark-submit', '--verbose', '--master', 'yarn', '--deploy-mode', 'cluster', '--class', 'a.B', 's3://b/job.jar', ...order),
    ).toEqual({
      file: '/spark/bin/spark-submit',
      args: ['--verbose', '--master', 'local[3]', '--deploy-mode', 'client', '--class', 'a.B', 's3://b/job.jar', ...order],
    });
    expect(of('spark-submit', '--master=yarn', '--conf=a=b=c', 'job.py')).toEqual({
      file: '/spark/bin/spark-submit',
      args: ['--master', 'local[3]', '--conf=a=b=c', 'job.py'],
    });
  });

  it('leaves another master as it is, and finds spark-sql beside spark-submit', () => {
    expect(of('spark-sql', '--master', 'local[1]', '-f', 's3://b/x.sql')).toEqual({
      file: '/spark/bin/spark-sql',
      args: ['--master', 'local[1]', '-f', 's3://b/x.sql'],
    });
  });

  it('never drops or changes a word but master and deploy mode', () => {
    const word = fc.stringMatching(/^[a-z][a-z0-9=./]{0,8}$/);
    const option = fc.tuple(fc.constantFrom('--class', '--conf', '--name', '--jars'), word).map((pair) => [...pair]);
    fc.assert(
      fc.property(fc.array(option, { maxLength: 6 }), fc.array(word, { maxLength: 5 }), (options, job) => {
        const args = [...options.flat(), ...job];
        expect(of('spark-submit', ...args)).toEqual({ file: tools.sparkSubmit, args });
      }),
    );
  });
});

it.each([
  ['', undefined],
  ['WARN x\nException in thread "main" a.B: c\n\tat d\nINFO bye\n', 'Exception in thread "main" a.B: c'],
  ['Traceback (most recent call last):\n  File "x"\nValueError: no\n', 'ValueError: no'],
  ['Traceback (most recent call last):\n  File "x"\nValueError: no\nWARN y\njava.io.IOException: at the end\n', 'ValueError: no'],
  ['pyspark.errors.AnalysisException: gone\n', 'pyspark.errors.AnalysisException: gone'],
])('of the stderr %j the failure is %j', (stderr, line) => {
  expect(exceptionLine(stderr)).toBe(line);
});

it.each([
  ['s3://b/p/', 's3://b/p/j-1/steps/s-1/stderr.gz'],
  ['s3n://b', 's3://b/j-1/steps/s-1/stderr.gz'],
  ['file:///logs', 'file:///logs/j-1/steps/s-1/stderr.gz'],
])('below the log URI %s a log is %s', (uri, expected) => {
  expect(logFileUri(uri, 'j-1', 's-1', 'stderr')).toBe(expected);
});

it('tags are added over those of the same key and removed by key', () => {
  const tags = addedTags({ a: '1' }, [{ Key: 'a', Value: '2' }, { Key: 'b' }]);
  expect(tags).toEqual({ a: '2', b: '' });
  expect(removedTags(tags, ['a', 'c'])).toEqual({ b: '' });
  expect(() => addedTags({}, [{ Key: '' }])).toThrow("Invalid tag key: ''");
});

it('Spark reaches the S3 of the environment, and gets no credential in a file', () => {
  const environment = { AWS_ENDPOINT_URL_S3: 'http://127.0.0.1:7070', AWS_REGION: 'eu-west-1', AWS_SECRET_ACCESS_KEY: 'hidden' };
  const defaults = sparkDefaults(['/a.jar', '/b.jar'], environment);
  expect(defaults).toMatchObject({
    'spark.hadoop.fs.s3a.endpoint': 'http://127.0.0.1:7070',
    'spark.hadoop.fs.s3a.connection.ssl.enabled': 'false',
    'spark.driver.extraClassPath': '/a.jar:/b.jar',
  });
  expect(JSON.stringify(defaults)).not.toContain('hidden');
});
