import { ExpositionLine, LABEL_NAME, MalformedExposition, METRIC_NAME } from './exposition-line';

/** The text format of Prometheus, version 0.0.4, read as strictly as its page says: what any scraper may refuse is refused here. */

export type FamilyType = 'counter' | 'gauge' | 'histogram' | 'summary' | 'untyped';

export interface Sample {
  readonly name: string;
  readonly labels: Readonly<Record<string, string>>;
  readonly value: number;
  /** Unix milliseconds. */
  readonly timestamp?: number;
}

export interface Family {
  readonly name: string;
  readonly type: FamilyType;
  readonly help?: string;
  readonly samples: readonly Sample[];
}

const TYPES: readonly string[] = ['counter', 'gauge', 'histogram', 'summary', 'untyped'] satisfies FamilyType[];
const NUMBER = /^(?:[-+]?(?:\d+\.?\d*|\.\d+)(?:[eE][-+]?\d+)?|[-+]?Inf|NaN)$/;

interface OpenFamily {
  readonly name: string;
  type?: FamilyType;
  help?: string;
  readonly samples: Sample[];
}

/** All families by name, in the order of the text. Throws {@link MalformedExposition} naming the line. */
export function parseExposition(text: string): ReadonlyMap<string, Family> {
  if (text !== '' && !text.endsWith('\n')) throw new MalformedExposition('the last line does not end with a line feed');
  const families = new Map<string, OpenFamily>();
  let current: OpenFamily | undefined;
  const enter = (name: string, line: number): OpenFamily => {
    if (current !== undefined && current.name === name) return current;
    if (families.has(name)) throw new MalformedExposition(`the lines of ${name} are not one group`, line);
    current = { name, samples: [] };
    families.set(name, current);
    return current;
  };
  text.split('\n').forEach((raw, index) => {
    const line = new ExpositionLine(raw, index + 1);
    line.skipBlanks();
    if (line.done) return;
    if (line.take('#')) {
      line.skipBlanks();
      const keyword = line.word();
      if (keyword !== 'HELP' && keyword !== 'TYPE') return;
      line.skipBlanks();
      describe(enter(line.match(METRIC_NAME, 'a metric name'), line.number), keyword, line);
      return;
    }
    const sample = readSample(line);
    const family = current !== undefined && belongs(sample.name, current) ? current : enter(sample.name, line.number);
    family.samples.push(sample);
  });
  const closed = [...families.values()].map(close);
  refuseSharedNames(closed);
  return new Map(closed.map((family) => [family.name, family]));
}

/** The one sample of that name with at least those labels; throws when there is none, or are more. */
export function sampleOf(families: ReadonlyMap<string, Family>, name: string, labels: Readonly<Record<string, string>> = {}): Sample {
  const found = samplesOf(families, name, labels);
  const [sample] = found;
  if (sample === undefined || found.length > 1) throw new Error(`${found.length} samples of ${name} ${JSON.stringify(labels)}`);
  return sample;
}

/** All samples of that name with at least those labels. */
export function samplesOf(families: ReadonlyMap<string, Family>, name: string, labels: Readonly<Record<string, string>> = {}): Sample[] {
  return [...families.values()]
    .flatMap(({ samples }) => samples)
    .filter((sample) => sample.name === name && Object.entries(labels).every(([label, value]) => sample.labels[label] === value));
}

function describe(family: OpenFamily, keyword: 'HELP' | 'TYPE', line: ExpositionLine): void {
  if (family.samples.length > 0) line.refuse(`${keyword} of ${family.name} comes after its samples`);
  if (keyword === 'HELP') {
    if (family.help !== undefined) line.refuse(`a second HELP of ${family.name}`);
    if (!line.done && !line.take(' ') && !line.take('\t')) line.refuse(`${family.name} is followed by no blank`);
    line.skipBlanks();
    family.help = line.rest().replace(/\\(.?)/g, (_, character: string) => line.unescaped(character, '\\n'));
    return;
  }
  if (family.type !== undefined) line.refuse(`a second TYPE of ${family.name}`);
  line.skipBlanks();
  const type = line.word();
  line.skipBlanks();
  if (!TYPES.includes(type) || !line.done) line.refuse(`${family.name} has no known type`);
  family.type = type as FamilyType;
}

function readSample(line: ExpositionLine): Sample {
  const name = line.match(METRIC_NAME, 'a metric name');
  line.skipBlanks();
  const labels = line.take('{') ? readLabels(line) : {};
  line.skipBlanks();
  const value = readNumber(line.word('a value'), line);
  line.skipBlanks();
  if (line.done) return { name, labels, value };
  const timestamp = line.word('a timestamp');
  line.skipBlanks();
  if (!/^-?\d+$/.test(timestamp) || !line.done) line.refuse('after the value only a timestamp in whole milliseconds may follow');
  return { name, labels, value, timestamp: Number(timestamp) };
}

function readLabels(line: ExpositionLine): Readonly<Record<string, string>> {
  const labels = new Map<string, string>();
  for (;;) {
    line.skipBlanks();
    if (line.take('}')) return Object.fromEntries(labels);
    const label = line.match(LABEL_NAME, 'a label name');
    if (label === '__name__' || labels.has(label)) line.refuse(`label ${label} is given twice or reserved`);
    line.skipBlanks();
    if (!line.take('=')) line.refuse(`label ${label} has no value`);
    line.skipBlanks();
    if (!line.take('"')) line.refuse(`the value of ${label} is not quoted`);
    labels.set(label, line.quoted());
    line.skipBlanks();
    if (!line.take(',')) {
      if (line.take('}')) return Object.fromEntries(labels);
      line.refuse('a comma or a closing brace is expected');
    }
  }
}

function readNumber(text: string, line: ExpositionLine): number {
  if (!NUMBER.test(text)) line.refuse(`${text} is no value`);
  return Number(text.replace('Inf', 'Infinity'));
}

function belongs(sample: string, { name, type }: OpenFamily): boolean {
  return sampleNames(name, type ?? 'untyped').includes(sample);
}

function sampleNames(name: string, type: FamilyType): readonly string[] {
  if (type === 'histogram') return [`${name}_bucket`, `${name}_sum`, `${name}_count`];
  if (type === 'summary') return [name, `${name}_sum`, `${name}_count`];
  return [name];
}

/** What can be judged only once the group is whole. */
function close({ name, type = 'untyped', help, samples }: OpenFamily): Family {
  const series = new Set<string>();
  for (const sample of samples) {
    const key = JSON.stringify([sample.name, Object.entries(sample.labels).sort()]);
    if (series.has(key)) throw new MalformedExposition(`${name} has the series ${key} twice`);
    series.add(key);
    if (!sampleNames(name, type).includes(sample.name)) throw new MalformedExposition(`${sample.name} is no sample of a ${type}`);
    if (type === 'counter' && !(sample.value >= 0)) throw new MalformedExposition(`counter ${name} is ${sample.value}`);
  }
  if (type === 'histogram') for (const group of groups(samples, 'le').values()) checkHistogram(name, group);
  if (type === 'summary') for (const group of groups(samples, 'quantile').values()) checkSummary(name, group);
  return { name, type, samples, ...(help === undefined ? {} : { help }) };
}

/** Samples that differ in nothing but `label`. */
function groups(samples: readonly Sample[], label: string): ReadonlyMap<string, readonly Sample[]> {
  const found = new Map<string, Sample[]>();
  for (const sample of samples) {
    const key = JSON.stringify(
      Object.entries(sample.labels)
        .filter(([name]) => name !== label)
        .sort(),
    );
    found.set(key, [...(found.get(key) ?? []), sample]);
  }
  return found;
}

function checkHistogram(name: string, group: readonly Sample[]): void {
  const buckets = group.filter((sample) => sample.name === `${name}_bucket`);
  const bounds = buckets.map(({ labels }) => bound(name, labels.le));
  if (bounds.some((value, index) => index > 0 && !(value > (bounds[index - 1] ?? NaN)))) {
    throw new MalformedExposition(`the buckets of ${name} are not in order`);
  }
  if (bounds.at(-1) !== Infinity) throw new MalformedExposition(`${name} has no +Inf bucket`);
  if (buckets.some(({ value }, index) => !(value >= (buckets[index - 1]?.value ?? 0)))) {
    throw new MalformedExposition(`the buckets of ${name} are not cumulative`);
  }
  const { count } = sumAndCount(name, group, 'le');
  if (count !== buckets.at(-1)?.value) throw new MalformedExposition(`the count of ${name} is not that of its +Inf bucket`);
}

function checkSummary(name: string, group: readonly Sample[]): void {
  for (const { labels } of group.filter((sample) => sample.name === name)) {
    const quantile = bound(name, labels.quantile);
    if (!(quantile >= 0 && quantile <= 1)) throw new MalformedExposition(`${name} has a quantile that is none`);
  }
  sumAndCount(name, group, 'quantile');
}

function sumAndCount(name: string, group: readonly Sample[], label: string): { count: number } {
  const [sum, count] = ['_sum', '_count'].map((suffix) => group.find((sample) => sample.name === `${name}${suffix}`));
  if (sum === undefined || count === undefined) throw new MalformedExposition(`${name} lacks its sum or its count`);
  if (label in sum.labels || label in count.labels) throw new MalformedExposition(`the sum or count of ${name} has a label ${label}`);
  return { count: count.value };
}

function bound(name: string, text: string | undefined): number {
  if (text === undefined || !NUMBER.test(text)) throw new MalformedExposition(`${name} has a sample without a bucket or quantile`);
  return Number(text.replace('Inf', 'Infinity'));
}

/** A counter `x_count` beside a histogram `x` would be two metrics in one name. */
function refuseSharedNames(families: readonly Family[]): void {
  const owners = new Map<string, string>();
  for (const { name, type } of families) {
    for (const sample of new Set([name, ...sampleNames(name, type)])) {
      if (owners.has(sample)) throw new MalformedExposition(`${sample} is a name of both ${owners.get(sample)} and ${name}`);
      owners.set(sample, name);
    }
  }
}
