import { check, compute, definePipeline, ingest, publish, weekly } from '../define';
import { landedSuite, shareSuite } from './suites';

/** Of the users that each country gained in the last four weeks, the share that came without advertising. */
export const organicShare = definePipeline({
  id: 'organic-share',
  owner: 'growth-team',
  window: weekly(),
  chain: 'independent',
  schedule: { cron: '0 6 * * 1', timezone: 'Europe/London', gap: 'shift', fold: 'first', catchUp: 'latest', overlap: 'queue' },
  deadline: { published: '09:00' },
  datasets: {
    acquisitions: {
      columns: {
        name: 'text',
        value: 'double',
        start_date: 'date',
        end_date: 'date',
        year_week: 'text',
        has_subtrackers: 'boolean',
        token: 'text',
        dataplatform_inserted_at: 'timestamp',
        country: 'text',
        os_name: 'text',
        extract_date: 'date',
      },
      optional: ['value', 'end_date', 'year_week', 'has_subtrackers', 'token', 'dataplatform_inserted_at'],
    },
    /** Every name, token and country of the extract, once, with what it is coupled to. */
    acquisition_labels: {
      columns: { kind: 'text', label: 'text', tokens: 'bigint', subtracker_values: 'bigint', names: 'bigint', coupled: 'text' },
      key: ['kind', 'label'],
    },
    /** One row a channel, day, country and system: the newest that was inserted. */
    staged_acquisitions: {
      columns: { name: 'text', start_date: 'date', country: 'text', os_name: 'text', value: 'double' },
      key: ['name', 'start_date', 'country', 'os_name'],
    },
    /** Sums of the ISO weeks, named by their Mondays, that hold data. */
    weekly_acquisitions: {
      columns: { monday: 'date', country: 'text', organic: 'double', other: 'double' },
      key: ['monday', 'country'],
    },
    organic_share: {
      columns: { year: 'integer', week: 'integer', country: 'text', share_organic_p4w: 'double' },
      key: ['year', 'week', 'country'],
    },
    /** Weeks of a country that the shares lack. */
    missing_shares: { columns: { year: 'integer', week: 'integer', country: 'text' }, key: ['year', 'week', 'country'] },
    /** The newest share of each country beside those of the eight weeks before. */
    share_shifts: {
      columns: { country: 'text', year: 'integer', week: 'integer', share: 'double', level: 'double', weeks: 'bigint', score: 'double' },
      key: ['country'],
    },
  },
  stages: {
    acquisitions: ingest({ landing: 'acquisitions', folders: 'newest', folderDate: 'extract_date', writes: 'acquisitions' }),
    label: compute({ reads: { acquisitions: 'acquisitions' }, sql: 'label.sql', writes: 'acquisition_labels' }),
    landed: check({ suite: landedSuite }),
    stage: compute({ needs: ['landed'], reads: { acquisitions: 'acquisitions' }, sql: 'stage.sql', writes: 'staged_acquisitions' }),
    sumWeeks: compute({ reads: { staged: 'staged_acquisitions' }, sql: 'sum-weeks.sql', writes: 'weekly_acquisitions' }),
    share: compute({ reads: { weekly: 'weekly_acquisitions' }, sql: 'share.sql', writes: 'organic_share' }),
    findMissing: compute({
      reads: { weekly: 'weekly_acquisitions', organic_share: 'organic_share' },
      sql: 'find-missing.sql',
      writes: 'missing_shares',
    }),
    compareWeeks: compute({ reads: { organic_share: 'organic_share' }, sql: 'compare-weeks.sql', writes: 'share_shifts' }),
    judge: check({ needs: ['landed'], suite: shareSuite }),
    publish: publish({
      needs: ['judge'],
      mode: 'newest',
      tables: { organic_share: { from: 'organic_share', key: ['year', 'week', 'country'] } },
    }),
  },
});
