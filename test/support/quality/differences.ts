/**
 * Cases of others whose expectation is not ours on purpose, each with the reason. Keys are ids of deequ's cases, or
 * `FILE/DATASET/TEST` of Great Expectations', from the front.
 */
export const DIFFERENCES: Readonly<Record<string, string>> = {
  '351': 'the insides of deequ’s KLL sketch: our quantiles are kept in logarithmic bins, which merge exactly',
  '352': 'the insides of deequ’s KLL sketch: our quantiles are kept in logarithmic bins, which merge exactly',
};
