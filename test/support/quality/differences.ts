/** Cases of others whose expectation is not ours on purpose, each with the reason; this list is the whole of it. */

/** By the id of deequ's case. */
export const DIFFERENCES: Readonly<Record<string, string>> = {
  '351': 'the insides of deequ’s KLL sketch: our quantiles are kept in logarithmic bins, which merge exactly',
  '352': 'the insides of deequ’s KLL sketch: our quantiles are kept in logarithmic bins, which merge exactly',
};

interface Case {
  readonly title: string;
  readonly only_for?: readonly string[];
  readonly in: unknown;
  readonly out: unknown;
}

interface Rule {
  readonly why: string;
  readonly applies: (expectation: string, of: Case) => boolean;
}

const argument = (of: Case, name: string): unknown => (of.in as Readonly<Record<string, unknown>>)[name];

/** Of Great Expectations' cases, by what makes them others. */
const RULES: readonly Rule[] = [
  { why: 'dates as Python’s dateutil guesses them: ours are ISO', applies: (expectation) => expectation.endsWith('dateutil_parseable') },
  {
    why: 'character classes in LIKE patterns are SQL Server’s',
    applies: (_, of) =>
      /\[/.test(JSON.stringify([argument(of, 'like_pattern'), argument(of, 'like_pattern_list')])) &&
      of.only_for?.includes('mssql') === true,
  },
  {
    why: 'the last digits of one database’s arithmetic',
    applies: (expectation, of) => expectation.includes('stdev') && ['snowflake', 'redshift', 'sqlalchemy'].includes(String(of.only_for)),
  },
  {
    why: 'types of the values in a pandas column of objects: our columns have one type',
    applies: (expectation, of) =>
      /_type(_list)?$/.test(expectation) &&
      (/object|placeholder/.test(of.title) || /string_and_int_values_(summary|complete)|with_timezone/.test(of.title)),
  },
  {
    why: 'Spark of Great Expectations takes no NULL in a set: here it is left out',
    applies: (_, of) => of.title.startsWith('value_error_spark'),
  },
  {
    why: 'without a threshold an infinite divergence succeeds there: what is not a number is an ERROR here',
    applies: (_, of) => of.title.includes('null_threshold_should_always_succeed'),
  },
  { why: 'their own test of suppressing a test', applies: (expectation) => expectation === 'expect_this_test_to_be_suppressed' },
];

/** Why a case of Great Expectations is not ours; undefined for one that is. */
export function differenceOf(expectation: string, of: Case): string | undefined {
  return RULES.find(({ applies }) => applies(expectation, of))?.why;
}
