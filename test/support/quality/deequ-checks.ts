import * as constraints from '../../../pipelines/quality/constraints';
import type { ValueRange } from '../../../pipelines/quality/metrics';
import type { Band } from '../../../pipelines/types';
import { declared, scalars, spelled, type ColumnTypes } from './deequ-metrics';

type Call = readonly [string, ...unknown[]];

/** `> 0.8`, `== 0.5`: an assertion as the band of values it is true of. */
function bandOf(assertion: string): Band {
  const [, sign, text] = /^\s*(>=|<=|==|=|>|<)\s*(-?[0-9.eE+-]+)\s*$/.exec(assertion) ?? [];
  const value = Number(text);
  if (sign === undefined || Number.isNaN(value)) throw new Error(`no assertion: ${assertion}`);
  const bands: Readonly<Record<string, Band>> = {
    '>=': { min: value },
    '<=': { max: value },
    '>': { above: value },
    '<': { below: value },
  };
  return bands[sign] ?? { min: value, max: value };
}

interface Options {
  readonly where?: string;
}

const COMPARISONS = { isLessThan: '<', isLessThanOrEqualTo: '<=', isGreaterThan: '>', isGreaterThanOrEqualTo: '>=' } as const;
const ANALYZERS: Readonly<Record<string, string>> = {
  hasMin: 'Minimum',
  hasMax: 'Maximum',
  hasMean: 'Mean',
  hasSum: 'Sum',
  hasStandardDeviation: 'StandardDeviation',
  hasVariance: 'Variance',
  hasSkewness: 'Skewness',
  hasKurtosis: 'Kurtosis',
  hasRange: 'Range',
  hasInterquartileRange: 'InterquartileRange',
  hasZerosCount: 'ZerosCount',
  hasMinLength: 'MinLength',
  hasMaxLength: 'MaxLength',
  hasApproxCountDistinct: 'ApproxCountDistinct',
  hasEntropy: 'Entropy',
  hasNumberOfDistinctValues: 'Histogram',
  hasDataType: 'DataType',
};

/** One of deequ's checks as ours. Throws for one this has no words for. */
export function constraintOf([name, ...args]: Call, types: ColumnTypes): constraints.Constraint {
  const last = args.at(-1);
  const options = (last !== null && typeof last === 'object' && !Array.isArray(last) && 'where' in last ? last : {}) as Options;
  const rest = options === last ? args.slice(0, -1) : args;
  const assertion = rest.find((arg): arg is string => typeof arg === 'string' && /^\s*[<>=]/.test(arg));
  const band = assertion === undefined ? { min: 1 } : bandOf(assertion);
  const [first, second, third] = rest.filter((arg) => arg !== assertion);
  const more = options.where === undefined ? {} : { where: spelled(options.where, types) };
  const columns = Array.isArray(first) ? (first as string[]) : [String(first)];
  if (name in COMPARISONS) {
    const sign = COMPARISONS[name as keyof typeof COMPARISONS];
    return constraints.satisfies(`"${String(first)}" ${sign} "${String(second)}"`, band, more);
  }
  const analyzer = ANALYZERS[name];
  if (analyzer !== undefined) {
    const measure = declared(
      analyzer,
      { column: first, columns, ...(name === 'hasDataType' ? { type: second } : {}) },
      options.where,
      types,
    );
    if (measure !== undefined) return { measure, fail: band };
  }
  switch (name) {
    case 'hasSize':
      return constraints.hasSize(band, more);
    case 'hasColumnCount':
      return constraints.hasColumnCount(band);
    case 'isComplete':
    case 'hasCompleteness':
      return constraints.hasCompleteness(String(first), band, more);
    case 'areComplete':
    case 'haveCompleteness':
      return constraints.areComplete(columns, band, more);
    case 'areAnyComplete':
    case 'haveAnyCompleteness':
      return constraints.areAnyComplete(columns, band, more);
    case 'isUnique':
    case 'areUnique':
    case 'hasUniqueness':
      return constraints.hasUniqueness(columns, band, more);
    case 'isPrimaryKey':
      return constraints.isPrimaryKey(rest.flat().map(String), more);
    case 'hasDistinctness':
      return constraints.hasDistinctness(columns, band, more);
    case 'hasUniqueValueRatio':
      return constraints.hasUniqueValueRatio(columns, band, more);
    case 'satisfies':
      return constraints.satisfies(spelled(String(first), types), band, more);
    case 'hasPattern':
      return constraints.hasPattern(String(first), [String(second)], band, more);
    case 'containsEmail':
      return constraints.hasPattern(String(first), 'email', band, more);
    case 'containsURL':
      return constraints.hasPattern(String(first), 'url', band, more);
    case 'containsCreditCardNumber':
      return constraints.hasPattern(String(first), 'credit-card', band, more);
    case 'containsSocialSecurityNumber':
      return constraints.hasPattern(String(first), 'us-social-security-number', band, more);
    case 'isNonNegative':
      return constraints.isNonNegative(String(first), band, more);
    case 'isPositive':
      return constraints.isPositive(String(first), band, more);
    case 'isContainedIn':
      if (Array.isArray(second)) return constraints.isContainedIn(String(first), scalars(second), band, more);
      return constraints.isWithin(String(first), rangeOf(second as Readonly<Record<string, unknown>>), band, more);
    case 'hasApproxQuantile':
      return constraints.hasApproxQuantile(String(first), Number(second), band, more);
    case 'hasExactQuantile':
      return constraints.hasExactQuantile(String(first), Number(second), band, more);
    case 'hasCorrelation':
      return constraints.hasCorrelation([String(first), String(second)], band, more);
    case 'hasMutualInformation':
      return constraints.hasMutualInformation(
        Array.isArray(first) ? (first as [string, string]) : [String(first), String(second)],
        band,
        more,
      );
    default:
      throw new Error(`no words for ${name}(${String(first)}, ${String(second)}, ${String(third)})`);
  }
}

function rangeOf(range: Readonly<Record<string, unknown>>): ValueRange {
  const lower = range['includeLowerBound'] === false ? 'above' : 'min';
  const upper = range['includeUpperBound'] === false ? 'below' : 'max';
  return { [lower]: Number(range['lower']), [upper]: Number(range['upper']) };
}
