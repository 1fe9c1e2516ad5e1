import fc from 'fast-check';
import { chosenEngine, ENGINE_NAMES, engineReason, isEngineName, mayUseSpark } from '../../../pipelines/engine-choice';
import { parseSize } from '../../../pipelines/size';
import type { ComputeSpec } from '../../../pipelines/types';

const size = fc.tuple(fc.nat({ max: 5000 }), fc.constantFrom('B', 'MB', 'GiB')).map(([count, unit]) => `${count}${unit}`);
const declared: fc.Arbitrary<ComputeSpec['engine']> = fc.oneof(
  fc.constantFrom(undefined, 'duckdb', 'spark', 'none'),
  size.map((sparkAbove) => ({ sparkAbove })),
);
const forced = fc.option(fc.constantFrom(...ENGINE_NAMES), { nil: undefined });
const bytesIn = fc.oneof(fc.nat(), fc.maxSafeNat());

it('is what the run forces but for a join point, else what is declared or the rule finds', () => {
  fc.assert(
    fc.property(declared, forced, bytesIn, (engine, force, bytes) => {
      const chosen = chosenEngine({ declared: engine, forced: force, bytesIn: bytes });
      if (engine === 'none') expect(chosen).toBe('none');
      else if (force !== undefined) expect(chosen).toBe(force);
      else if (typeof engine === 'object') expect(chosen === 'spark').toBe(bytes > (parseSize(engine.sparkAbove) ?? NaN));
      else expect(chosen).toBe(engine ?? 'duckdb');
    }),
  );
});

it('goes over to Spark once with growing inputs, and never back', () => {
  fc.assert(
    fc.property(declared, forced, bytesIn, fc.nat(), (engine, force, bytes, more) => {
      const before = chosenEngine({ declared: engine, forced: force, bytesIn: bytes });
      const after = chosenEngine({ declared: engine, forced: force, bytesIn: Math.min(bytes + more, Number.MAX_SAFE_INTEGER) });
      if (before === 'spark') expect(after).toBe('spark');
      if (after === 'spark') expect(mayUseSpark(engine, force)).toBe(true);
    }),
  );
});

it.each<[number, string]>([
  [20e9, 'duckdb'],
  [20e9 + 1, 'spark'],
  [0, 'duckdb'],
])('takes 20GB of sparkAbove with %d bytes for %s', (bytes, engine) => {
  expect(chosenEngine({ declared: { sparkAbove: '20GB' }, forced: undefined, bytesIn: bytes })).toBe(engine);
});

it('says who decided: the run, the stage or its rule; nothing where nobody did', () => {
  const rule = { sparkAbove: '1KB' };
  expect(engineReason({ declared: rule, forced: 'spark', bytesIn: 1 })).toBe('the run was started with --engine spark');
  expect(engineReason({ declared: 'spark', forced: undefined, bytesIn: 1 })).toBe('the stage declares it');
  expect(engineReason({ declared: rule, forced: undefined, bytesIn: 1001 })).toBe(
    'its inputs hold 1001 bytes, more than the 1KB of sparkAbove',
  );
  expect(engineReason({ declared: rule, forced: undefined, bytesIn: 1000 })).toBe(
    'its inputs hold 1000 bytes, which is not above the 1KB of sparkAbove',
  );
  expect(engineReason({ declared: undefined, forced: undefined, bytesIn: 1 })).toBeUndefined();
});

it('refuses a size that no declaration could have', () => {
  expect(() => chosenEngine({ declared: { sparkAbove: 'much' }, forced: undefined, bytesIn: 1 })).toThrow(
    expect.objectContaining({ code: 'pipeline.invalid' }),
  );
});

it('knows the names of engines', () => {
  expect(['duckdb', 'spark', 'none', 'Spark', ''].filter(isEngineName)).toEqual(['duckdb', 'spark']);
});
