import fc from 'fast-check';

/** CI names a seed, so that the same commit passes or fails every time; without one every run looks somewhere else. */
const seed = process.env.ALMANAC_TEST_SEED;
if (seed !== undefined) fc.configureGlobal({ seed: Number(seed) });

/** What commands print must not hang on how the tests were called. */
delete process.env['npm_command'];
