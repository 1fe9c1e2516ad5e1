import type { RuntimeOptions } from '@temporalio/worker';
import { Gauge, type Registry } from 'prom-client';
import type { ListenAddress } from '../lib/variables';

/** The SDK answers from its own memory, on this machine. */
const SDK_TIMEOUT_MS = 2_000;

/** Makes the SDK serve its metrics, named and measured as Prometheus wants them: seconds, and `_total` on what counts. */
export function sdkTelemetry({ host, port }: ListenAddress): Pick<RuntimeOptions, 'telemetryOptions'> {
  const prometheus = { bindAddress: `${host}:${port}`, countersTotalSuffix: true, unitSuffix: true, useSecondsForDurations: true };
  return { telemetryOptions: { metrics: { prometheus } } };
}

/** Reads the exposition the Temporal SDK serves in this process, and keeps a gauge that says whether it could. */
export class SdkMetrics {
  private readonly up: Gauge;
  private failing = false;

  /** `failed` is told once when readings begin to fail, not at every scrape. */
  constructor(
    registry: Registry,
    private readonly url: string,
    private readonly failed: (error: unknown) => void,
  ) {
    this.up = new Gauge({
      name: 'almanac_sdk_metrics_up',
      help: 'Whether the metrics of the Temporal SDK follow: 1, or 0 and they are left out.',
      registers: [registry],
    });
  }

  static of(registry: Registry, { host, port }: ListenAddress, failed: (error: unknown) => void): SdkMetrics {
    return new SdkMetrics(registry, `http://${host}:${port}/metrics`, failed);
  }

  /** The SDK's families as text that may follow ours; empty when it does not answer, or with anything else. */
  async read(): Promise<string> {
    try {
      const response = await fetch(this.url, { signal: AbortSignal.timeout(SDK_TIMEOUT_MS), redirect: 'error' });
      const text = await response.text();
      const problem = response.ok ? sdkProblem(text) : `HTTP status ${response.status}`;
      if (problem !== undefined) throw new Error(`${this.url}: ${problem}`);
      this.up.set(1);
      this.failing = false;
      return text;
    } catch (error) {
      this.up.set(0);
      if (!this.failing) this.failed(error);
      this.failing = true;
      return '';
    }
  }
}

/** Ours all begin with `almanac_`, so that the two never share a family. */
const SDK_PREFIX = 'temporal_';
/** Types, with what the samples of each add to its name. */
const TYPES: Readonly<Record<string, readonly string[]>> = {
  counter: [''],
  gauge: [''],
  histogram: ['_bucket', '_sum', '_count'],
  summary: ['', '_sum', '_count'],
  untyped: [''],
};
const COMMENT = /^# (HELP|TYPE) ([a-zA-Z_:][a-zA-Z0-9_:]*)(?: (.*))?$/;
const SAMPLE =
  /^([a-zA-Z_:][a-zA-Z0-9_:]*)(?:\{(?:[a-zA-Z_][a-zA-Z0-9_]*="(?:[^"\\]|\\["\\n])*",?)*\})? (?:[-+]?(?:\d+\.?\d*|\.\d+)(?:[eE][-+]?\d+)?|[-+]Inf|NaN)(?: -?\d+)?$/;

/**
 * Why a text cannot follow our own metrics in one exposition, or undefined when it can: whole lines only, each family once, each of them
 * the SDK's. One bad line would cost Prometheus the whole scrape, ours included.
 */
export function sdkProblem(text: string): string | undefined {
  if (text !== '' && !text.endsWith('\n')) return 'the text breaks off';
  const families = new Set<string>();
  const told = new Set<string>();
  let family = '';
  let names: readonly string[] = [];
  for (const line of text.split('\n')) {
    if (line === '') continue;
    const [, keyword, described, rest = ''] = COMMENT.exec(line) ?? [];
    const name = described ?? SAMPLE.exec(line)?.[1];
    if (name === undefined) return `not a line of an exposition: ${line.slice(0, 100)}`;
    if (described === undefined ? !names.includes(name) : described !== family) {
      if (!name.startsWith(SDK_PREFIX)) return `${name} is not a metric of the SDK`;
      if (families.has(name)) return `metric ${name} comes twice`;
      families.add(name);
      family = name;
      names = [name];
    }
    if (keyword === undefined) continue;
    if (told.has(`${keyword} ${name}`)) return `${keyword} of ${name} comes twice`;
    told.add(`${keyword} ${name}`);
    if (keyword === 'HELP') continue;
    const suffixes = TYPES[rest];
    if (suffixes === undefined) return `${rest} is no type of a metric`;
    names = suffixes.map((suffix) => `${name}${suffix}`);
  }
  return undefined;
}
