import fc from 'fast-check';
import { diffRows, isEqual, renderDiff, type Row } from '../../../operator/row-diff';

const shape = { columns: { id: 'text', n: 'bigint', share: 'double' }, key: ['id'] } as const;
const bag = { ...shape, key: [] };
const row = (id: string, n: string | null, share: number | null): Row => ({ id, n, share });

describe('diffRows', () => {
  it('compares bags: order does not matter, numbers of equal rows do', () => {
    const [a, b] = [row('a', '1', 0.5), row('b', '2', null)];
    expect(isEqual(diffRows([a, b, a], [a, a, b], bag))).toBe(true);
    expect(diffRows([a, b], [a, a, b], bag)).toEqual({ missing: [], unexpected: [a], changed: [] });
    expect(diffRows([a, a, b], [a, b], bag)).toEqual({ missing: [a], unexpected: [], changed: [] });
  });

  it('takes floats as equal within 1e-9, nothing else', () => {
    expect(isEqual(diffRows([row('a', '1', 1 / 3)], [row('a', '1', 0.3333333333)], shape))).toBe(true);
    expect(isEqual(diffRows([row('a', '1', 1e12)], [row('a', '1', 1e12 + 1)], shape))).toBe(true);
    expect(isEqual(diffRows([row('a', '1', 0.1)], [row('a', '1', 0.1001)], shape))).toBe(false);
    expect(isEqual(diffRows([row('a', '1', null)], [row('a', '1', 0)], shape))).toBe(false);
    expect(isEqual(diffRows([row('a', '9007199254740993', 0)], [row('a', '9007199254740992', 0)], shape))).toBe(false);
  });

  it('shows rows of one key by the columns that differ, the others whole', () => {
    const diff = diffRows(
      [row('a', '1', 0.5), row('b', '2', 0.5), row('c d', '3', null)],
      [row('a', '1', 0.25), row('b', '2', 0.5), row('e', null, 1)],
      shape,
    );
    expect(renderDiff(diff).split('\n')).toEqual([
      '~ id=a: share is 0.25, expected 0.5',
      '- missing    id="c d" n=3 share=NULL',
      '+ unexpected id=e n=NULL share=1',
    ]);
  });

  it('says how many lines it left out', () => {
    const many = Array.from({ length: 5 }, (_, at) => row(`r${at}`, '1', 0));
    expect(
      renderDiff(diffRows(many, [], shape), 2)
        .split('\n')
        .at(-1),
    ).toBe('… and 3 more');
  });

  it('finds nothing in a shuffled bag, and exactly the row that was taken out', () => {
    const rows = fc.array(
      fc.record({ id: fc.constantFrom('a', 'b'), n: fc.constantFrom('1', '2', null), share: fc.constantFrom(0, 1, null) }),
      { minLength: 1 },
    );
    fc.assert(
      fc.property(
        rows.chain((all) => fc.tuple(fc.constant(all), fc.shuffledSubarray(all, { minLength: all.length }))),
        ([expected, actual]) => {
          expect(isEqual(diffRows(expected, actual, shape))).toBe(true);
          expect(diffRows(expected, actual.slice(1), bag)).toEqual({ missing: [actual[0]], unexpected: [], changed: [] });
        },
      ),
    );
  });
});
