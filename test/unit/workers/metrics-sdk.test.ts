import { sdkProblem } from '../../../workers/metrics-sdk';
import { parseExposition } from '../../support/exposition';

/** As the SDK serves it. */
const SDK = `# HELP temporal_num_pollers Current number of active pollers per queue type
# TYPE temporal_num_pollers gauge
temporal_num_pollers{namespace="default",poller_type="activity_task",task_queue="almanac-live"} 10
# HELP temporal_request_latency_seconds Histogram of client request latencies
# TYPE temporal_request_latency_seconds histogram
temporal_request_latency_seconds_bucket{operation="GetSystemInfo",le="0.05"} 1
temporal_request_latency_seconds_bucket{operation="GetSystemInfo",le="+Inf"} 1
temporal_request_latency_seconds_sum{operation="GetSystemInfo"} 0.003
temporal_request_latency_seconds_count{operation="GetSystemInfo"} 1
`;

test('what the SDK serves may follow our own metrics, also before it has any', () => {
  expect(sdkProblem(SDK)).toBeUndefined();
  expect(sdkProblem('')).toBeUndefined();
  expect(parseExposition(SDK).size).toBe(2);
});

test('a text cut off anywhere within a line may not', () => {
  for (let length = 1; length < SDK.length; length++) {
    if (SDK[length - 1] !== '\n') expect(sdkProblem(SDK.slice(0, length))).toBe('the text breaks off');
  }
});

test.each([
  ['the page of some other server', '<html>\n<body>metrics</body>\n</html>\n', 'not a line of an exposition'],
  ['a metric of ours', 'almanac_ledger_up 1\n', 'almanac_ledger_up is not a metric of the SDK'],
  ['a metric of somebody else', '# TYPE go_gc gauge\ngo_gc 1\n', 'go_gc is not a metric of the SDK'],
  ['a family described twice', '# TYPE temporal_a gauge\n# TYPE temporal_a gauge\n', 'TYPE of temporal_a comes twice'],
  ['a family in two groups', 'temporal_a 1\ntemporal_b 1\ntemporal_a{x="1"} 2\n', 'metric temporal_a comes twice'],
  ['all of it twice', SDK + SDK, 'metric temporal_num_pollers comes twice'],
  ['a type that is none', '# TYPE temporal_a stateset\n', 'stateset is no type'],
  ['a plain sample of a histogram', '# TYPE temporal_a histogram\ntemporal_a 1\n', 'metric temporal_a comes twice'],
  ['a label that is not quoted', 'temporal_a{b=c} 1\n', 'not a line of an exposition'],
  ['a value that is none', 'temporal_a 1-1\n', 'not a line of an exposition'],
])('%s may not', (_, text, problem) => {
  expect(sdkProblem(text)).toContain(problem);
});
