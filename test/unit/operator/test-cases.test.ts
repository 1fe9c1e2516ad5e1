import { parseCases } from '../../../operator/test-cases';

const good = `name: counts plays
stage: add
window: 2026-11-20
params: { days: 7 }
given:
  plays: [{ user_id: a, at: 2026-11-20T08:00:00Z, id: 9007199254740993 }]
  previous:totals: []
expect: []
`;

describe('parseCases', () => {
  it('reads one case a document, each with its place; dates stay text, big numbers exact', () => {
    const cases = parseCases(`${good}---\n${good}`, 'tests/a.yaml');
    expect(cases.map(({ place }) => place)).toEqual(['tests/a.yaml:1', 'tests/a.yaml:10']);
    expect(cases[0]).toMatchObject({
      test: {
        params: { days: 7 },
        given: { 'plays': [{ user_id: 'a', at: '2026-11-20T08:00:00Z', id: 9007199254740993n }], 'previous:totals': [] },
      },
    });
  });

  it.each([
    ['YAML that is none', `${good}  bad: [`, 'tests/a.yaml:9'],
    ['a member that does not exist', `${good}expected: []\n`, 'Unrecognized key: "expected"'],
    ['a case without a stage', good.replace('stage: add\n', ''), 'stage: '],
    ['a row that is no row', good.replace('expect: []', 'expect: [1]'), 'expect.0: '],
    ['a value that is no value', good.replace('expect: []', 'expect: [{ a: [1] }]'), 'expect.0.a: '],
    ['an empty file', '\n', 'tests/a.yaml'],
    ['a case after a good one', `${good}---\nname: b\n`, 'tests/a.yaml:10'],
  ])('refuses %s with its place', (_what, text, expected) => {
    const [last] = parseCases(text, 'tests/a.yaml').slice(-1);
    const error = last !== undefined && 'error' in last ? last.error : undefined;
    expect(error).toMatchObject({ code: 'test.invalid', message: expect.stringContaining(expected) });
    expect(error?.message).toContain('tests/a.yaml:');
    expect(error?.message).not.toContain('\n');
  });
});
