import type { CheckDeclaration, SuiteSpec } from '../types';

function unusable(stage: string, why: string): CheckDeclaration {
  return {
    id: `${stage}-unusable`,
    dataset: stage,
    measure: { metric: 'quarantine-ratio', stage, reasons: ['malformed'] },
    warn: { max: 0 },
    fail: { max: 0.2 },
    why,
  };
}

/** What must hold of the files that are new. */
export const landedSuite: SuiteSpec = {
  checks: [
    unusable('tracks', 'Lines could not be read, so their plays are missing: ask the sender whether the export has changed.'),
    unusable('customers', 'Lines of cust.csv could not be read, so their customers have no names.'),
    {
      id: 'tracks-idle',
      dataset: 'tracks',
      measure: { metric: 'rows' },
      warn: { min: 1 },
      why: 'No file brought anything new: an export that stopped, or one that is late.',
    },
  ],
};

function keyChecks(dataset: string, column: string): CheckDeclaration[] {
  return [
    {
      id: `${dataset}-key-unique`,
      dataset,
      measure: { metric: 'duplicate-keys', key: [column] },
      fail: { max: 0 },
      why: `Two rows of ${dataset} share one ${column}, so a reader would see one of them at random.`,
    },
    {
      id: `${dataset}-${column}-complete`,
      dataset,
      measure: { metric: 'null-count', column },
      fail: { max: 0 },
      why: `A row of ${dataset} has no ${column}, so nobody can look it up.`,
    },
  ];
}

/** Plays that are counted in two ways and come out differently. */
function conserved(id: string, dataset: string, predicate: string, sample: readonly string[], why: string): CheckDeclaration {
  return { id, dataset, measure: { metric: 'rows-where', predicate }, fail: { max: 0 }, sample, why };
}

const PARTS = ['night', 'morning', 'afternoon', 'evening'];
const partsAre = (total: string): string => `${PARTS.join(' + ')} <> ${total}`;

/** What must hold before the profiles go live. */
export const profilesSuite: SuiteSpec = {
  checks: [
    ...keyChecks('listener_profiles', 'customer'),
    ...keyChecks('listener_averages', 'metric'),
    conserved(
      'parts-sum-to-plays',
      'customer_plays',
      partsAre('plays'),
      ['customer', 'plays', ...PARTS],
      'The four parts of the day of a customer do not sum to the plays.',
    ),
    conserved(
      'parts-of-a-track-sum-to-plays',
      'listens',
      partsAre('plays'),
      ['customer', 'track', 'plays', ...PARTS],
      'The four parts of the day of a customer and track do not sum to the plays.',
    ),
    conserved(
      'mobile-within-plays',
      'customer_plays',
      'mobile > plays or unique_tracks > plays or mobile < 0',
      ['customer', 'plays', 'unique_tracks', 'mobile'],
      'A customer has more mobile plays, or more tracks, than plays.',
    ),
    conserved(
      'plays-sum-to-events',
      'play_totals',
      'plays <> events or profiled <> events or parts <> events',
      ['events', 'plays', 'profiled', 'parts'],
      'The plays that are counted are not the events that were read, each once.',
    ),
    conserved(
      'every-customer-profiled',
      'play_totals',
      'profiles <> customers',
      ['customers', 'profiles'],
      'Customers with plays and published profiles are not as many.',
    ),
    {
      id: 'customers-known',
      dataset: 'listener_profiles',
      measure: { metric: 'missing-references', column: 'customer', in: { dataset: 'customers', column: 'customer' } },
      warn: { max: 0 },
      why: 'Customers with plays are not in cust.csv, so they have no names; ask for a newer file.',
    },
    {
      id: 'profiles-size',
      dataset: 'listener_profiles',
      measure: { metric: 'rows' },
      warn: 'drift',
      why: 'The number of listeners is unlike that of the same weekday in the weeks before.',
    },
  ],
};
