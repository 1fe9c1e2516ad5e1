/** What one answer of an engine says of a metric. */
import type { MetricState } from './states';

/** A share or count by value, largest first; how many values there are, and the weight of those not told. */
export interface FrequencyDetail {
  readonly kind: 'frequencies';
  readonly bins: number;
  readonly values: readonly { readonly value: string | null; readonly count: number; readonly ratio: number }[];
  readonly tailCount: number;
}

/** `edges` has one more element than `counts`; what lies outside of them is `below` and `above`, rows without a value are `nulls`. */
export interface BinnedDetail {
  readonly kind: 'bins';
  readonly edges: readonly number[];
  readonly counts: readonly number[];
  readonly below: number;
  readonly above: number;
  readonly nulls: number;
}

/** Observed and expected shares of a comparison of distributions. */
export interface ComparisonDetail {
  readonly kind: 'comparison';
  readonly observed: readonly number[];
  readonly expected: readonly number[];
  readonly labels: readonly string[];
}

export type MetricDetail = FrequencyDetail | BinnedDetail | ComparisonDetail;

export interface Reading {
  /** Undefined when there is nothing to measure; may be infinite or NaN, which no band passes. */
  readonly value: number | undefined;
  /** Rows the metric is about. */
  readonly rows: number;
  readonly detail?: MetricDetail;
  readonly state?: MetricState;
  /** Why there is no value. */
  readonly reason?: string;
}

/** Aggregates of a shared scan, and what their values mean. */
export interface ScanPart {
  readonly aggregates: readonly string[];
  read(values: readonly unknown[]): Reading;
}

/** Numbers come as numbers or as decimal text; undefined for what is neither. */
export function numeric(value: unknown): number | undefined {
  const read = typeof value === 'string' && value !== '' ? Number(value) : value;
  if (typeof read !== 'number') return undefined;
  return Number.isNaN(read) && value !== 'NaN' && typeof value === 'string' ? undefined : read;
}

export function count(value: unknown): number {
  return numeric(value) ?? 0;
}

export const NO_VALUES = 'there is no value to measure: every row is NULL or left out';
