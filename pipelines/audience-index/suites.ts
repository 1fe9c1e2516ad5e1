import type { CheckDeclaration, SuiteSpec } from '../types';

/** Quarantine of one ingest stage, in shares of its rows in. */
function quarantineChecks(stage: string, dataset: string): CheckDeclaration[] {
  return [
    {
      id: `${stage}-late`,
      dataset,
      measure: { metric: 'quarantine-ratio', stage, reasons: ['late'] },
      warn: { max: 0.001 },
      fail: { max: 0.05 },
      why: 'Rows of an earlier day arrived in this one; replay them to their own window before many are missing there.',
    },
    {
      id: `${stage}-unusable`,
      dataset,
      measure: { metric: 'quarantine-ratio', stage, reasons: ['early', 'malformed'] },
      warn: { max: 0.01 },
      fail: { max: 0.2 },
      why: 'Rows could not be read, or lie after their day: ask the sender whether the export has changed.',
    },
  ];
}

/** What must hold of the landed rows before a state is built on them. */
export const landedSuite: SuiteSpec = {
  checks: [...quarantineChecks('segmentAdds', 'segment_adds'), ...quarantineChecks('pixelFires', 'pixel_fires')],
};

/** Keys of a published table: complete and unique. */
function keyChecks(dataset: string, key: readonly string[]): CheckDeclaration[] {
  return [
    {
      id: `${dataset}-key-unique`,
      dataset,
      measure: { metric: 'duplicate-keys', key },
      fail: { max: 0 },
      why: `Two rows of ${dataset} share one key, so a reader would see one of them at random.`,
    },
    ...key.map((column): CheckDeclaration => ({
      id: `${dataset}-${column}-complete`,
      dataset,
      measure: { metric: 'null-count', column },
      fail: { max: 0 },
      why: `A row of ${dataset} has no ${column}, so nobody can look it up.`,
    })),
  ];
}

/** Rows of the report for which `predicate` is true contradict how the counts were made. */
function impossible(id: string, predicate: string, why: string): CheckDeclaration {
  return {
    id,
    dataset: 'report',
    measure: { metric: 'rows-where', predicate },
    fail: { max: 0 },
    sample: ['pixel_id', 'segment_id', 'users_segment_pixel', 'users_group_pixel', 'users_segment', 'users_group', 'index'],
    why,
  };
}

function namedChecks(column: 'segment_id' | 'pixel_id', names: string): CheckDeclaration {
  return {
    id: `${names}-complete`,
    dataset: 'report',
    measure: { metric: 'missing-references', column, in: { dataset: names, column } },
    fail: { max: 0 },
    why: `An id of the report has no row in ${names}, so a join would drop it.`,
  };
}

function unknownIds(dataset: string, id: string, name: string): CheckDeclaration {
  return {
    id: `${dataset}-unknown`,
    dataset,
    measure: { metric: 'rows-where', predicate: `${name} = concat('(unknown ', cast(${id} as string), ')')` },
    as: 'ratio',
    warn: { max: 0 },
    fail: { max: 0.1 },
    why: 'Ids are in use that the reference does not name; ask for a newer reference file.',
  };
}

function sizeDrift(dataset: string): CheckDeclaration {
  return {
    id: `${dataset}-size`,
    dataset,
    measure: { metric: 'rows' },
    warn: 'drift',
    why: `The size of ${dataset} is unlike that of the same weekday in the weeks before.`,
  };
}

function idle(dataset: string): CheckDeclaration {
  return {
    id: `${dataset}-idle`,
    dataset,
    measure: { metric: 'rows' },
    warn: { min: 1 },
    why: 'The day brought no rows: a holiday, or an export that stopped.',
  };
}

/** What must hold before the day goes live. */
export const reportSuite: SuiteSpec = {
  checks: [
    idle('segment_adds'),
    idle('pixel_fires'),
    ...keyChecks('report', ['pixel_id', 'segment_id']),
    ...keyChecks('audience_segments', ['segment_id']),
    ...keyChecks('audience_pixels', ['pixel_id']),
    impossible(
      'segment-within-group-of-pixel',
      'users_segment_pixel > users_group_pixel',
      'More users of a pixel are in a segment than in the group that holds it.',
    ),
    impossible('group-of-pixel-within-group', 'users_group_pixel > users_group', 'A pixel has more users of a group than the group has.'),
    impossible(
      'segment-of-pixel-within-segment',
      'users_segment_pixel > users_segment',
      'A pixel has more users of a segment than the segment has.',
    ),
    impossible(
      'index-finite',
      `not coalesce("index" >= 0 and "index" < cast('Infinity' as double), false)`,
      'An index is missing, negative or infinite.',
    ),
    namedChecks('segment_id', 'audience_segments'),
    namedChecks('pixel_id', 'audience_pixels'),
    unknownIds('audience_segments', 'segment_id', 'segment_name'),
    unknownIds('audience_pixels', 'pixel_id', 'pixel_name'),
    sizeDrift('udb'),
    sizeDrift('site'),
    sizeDrift('report'),
  ],
};
