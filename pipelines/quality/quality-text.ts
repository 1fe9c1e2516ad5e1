/** Quality metrics in words: the same words for the same metric, so that histories find it again. */
import type { QualityMetric } from './metrics';

/** `uniqueness(a, b) where kind = 'x'`, with everything that makes it another metric. */
export function qualityText(measure: QualityMetric): string {
  const { metric, where, over, ...rest } = { where: undefined, over: undefined, ...measure };
  const parts = Object.entries(rest).map(([name, value]) => argument(name, value));
  const narrowed = where === undefined ? '' : ` where ${where}`;
  const span = over === undefined ? '' : ` over ${String(over)} windows`;
  return `${metric}${parts.length === 0 ? '' : `(${parts.join(', ')})`}${narrowed}${span}`;
}

/** Columns and texts that say by themselves what they are stand without their names. */
function argument(name: string, value: unknown): string {
  if (name === 'column' || name === 'predicate' || name === 'sql') return String(value);
  if (name === 'columns' && Array.isArray(value)) return value.join(', ');
  return `${name}: ${typeof value === 'string' || typeof value === 'number' ? String(value) : JSON.stringify(value)}`;
}

/** Six significant digits: enough to tell a share from its bound. */
export function valueText(value: number): string {
  return Number.isInteger(value) ? value.toLocaleString('en-US') : value.toLocaleString('en-US', { maximumSignificantDigits: 6 });
}
