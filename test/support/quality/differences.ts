/**
 * Cases of others whose expectation is not ours on purpose, each by its id and with the reason; this list is the whole of it, and a case
 * on it that ours meets after all is a failing test.
 */

const KLL = 'the insides of deequ’s KLL sketch: our quantiles are kept in logarithmic bins, which merge exactly';

/** By the id of deequ's case. */
export const DEEQU_DIFFERENCES: Readonly<Record<string, string>> = {
  '351': KLL,
  '352': KLL,
};

const SINGLE_PRECISION = 'the last digits of one database’s arithmetic, as a bound that must be met exactly or by a tolerance of 1e-12';

/** By Great Expectations' file, and the places of the dataset and the test in it. */
export const GREAT_EXPECTATIONS_DIFFERENCES: Readonly<Record<string, string>> = {
  'expect_column_stdev_to_be_between/0/2': SINGLE_PRECISION,
  'expect_column_stdev_to_be_between/0/5': SINGLE_PRECISION,
  'expect_column_stdev_to_be_between/0/6': SINGLE_PRECISION,
  'expect_column_stdev_to_be_between/0/7': SINGLE_PRECISION,
  'expect_column_stdev_to_be_between/0/9': SINGLE_PRECISION,
  'expect_column_kl_divergence_to_be_less_than/2/3':
    'without a threshold an infinite divergence succeeds there: what is not a finite number is an ERROR here',
  'expect_column_values_to_be_dateutil_parseable/0/1': 'days as Python’s dateutil guesses them, 01/02/2010 for one: ours are ISO',
  'expect_column_values_to_be_dateutil_parseable/0/3':
    'a number raises an error there: here it is no day, as a text may be none, and FAILs',
  'expect_column_values_to_be_of_type/1/3': 'pandas has two types of timestamps, with a zone and without: ours has one, in UTC',
  'expect_column_values_to_not_be_in_set/0/9': 'Spark of Great Expectations refuses a NULL in a set: here it is left out',
  'expect_this_test_to_be_suppressed/0/0': 'their test of suppressing a test: it expects nothing',
};
