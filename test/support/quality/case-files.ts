import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { describeOn, sharedData } from '../shared-data';

const FOLDER = process.env['ALMANAC_QUALITY_CASES'] ?? sharedData('quality-cases');

/** Registers `suite` where the cases of others' test suites lie. */
export function withCases(title: string, suite: (folder: string) => void): void {
  describeOn(FOLDER, title, suite);
}

export function readJson(file: string): unknown {
  // Python writes numbers JSON has not.
  const text = readFileSync(file, 'utf8').replace(/([[,:]\s*)(-?Infinity|NaN)(?=\s*[,\]}])/g, '$1"$2"');
  return JSON.parse(text) as unknown;
}

export function jsonFiles(folder: string): string[] {
  if (!existsSync(folder)) return [];
  return readdirSync(folder)
    .filter((name) => name.endsWith('.json'))
    .sort();
}

/** A number JSON writes with a fraction, even of zeros: what a column of fractions is told by. */
const FRACTION = '\u0001';

/** The same file with a mark in the place of every number that is written with a fraction. */
export function readFractions(file: string): unknown {
  const tokens = /"(?:[^"\\]|\\.)*"|-?Infinity|NaN|-?\d+\.\d+(?:[eE][-+]?\d+)?/g;
  const marked = readFileSync(file, 'utf8').replace(tokens, (token) => (token.startsWith('"') ? token : '"\\u0001"'));
  return JSON.parse(marked) as unknown;
}

export function isFraction(value: unknown): boolean {
  return value === FRACTION;
}
