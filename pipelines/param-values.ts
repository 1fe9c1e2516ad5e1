import { AlmanacError } from './failures';
import type { ParamValue, PipelineSpec } from './types';

/**
 * Declared params with overrides in their place; text is read as the declared type, as it comes from a command line. Throws `param.invalid`.
 */
export function overriddenParams(
  spec: PipelineSpec,
  overrides: Readonly<Record<string, ParamValue>>,
): Readonly<Record<string, ParamValue>> {
  const declared = spec.params ?? {};
  const params: Record<string, ParamValue> = { ...declared };
  for (const [name, value] of Object.entries(overrides)) {
    const standard = Object.hasOwn(declared, name) ? declared[name] : undefined;
    if (standard === undefined) {
      const known = Object.keys(declared);
      throw invalidParam(
        spec,
        name,
        `the pipeline "${spec.id}" has no param "${name}"`,
        known.length === 0 ? 'It has none.' : `Use one of ${known.join(', ')}.`,
      );
    }
    const read = readAs(typeof standard, value);
    if (read === undefined) {
      throw invalidParam(
        spec,
        name,
        `"${value}" is no ${typeof standard}, which the param "${name}" of "${spec.id}" is`,
        `Give a value such as ${standard}.`,
      );
    }
    params[name] = read;
  }
  return params;
}

function readAs(type: string, value: ParamValue): ParamValue | undefined {
  if (typeof value === type) return value;
  if (typeof value !== 'string') return undefined;
  if (type === 'boolean') return value === 'true' ? true : value === 'false' ? false : undefined;
  const number = value.trim() === '' ? Number.NaN : Number(value);
  return Number.isFinite(number) ? number : undefined;
}

function invalidParam(spec: PipelineSpec, name: string, what: string, next: string): AlmanacError {
  return new AlmanacError('param.invalid', `${what[0]?.toUpperCase()}${what.slice(1)}.`, {
    next,
    details: { pipeline: spec.id, param: name },
  });
}
