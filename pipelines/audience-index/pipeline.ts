import { check, compute, daily, definePipeline, ingest, previous, publish } from '../define';
import { landedSuite, reportSuite } from './suites';

/** The Audience Index Report: for each site pixel, which audience segments are over- and under-represented among its users. */
export const audienceIndex = definePipeline({
  id: 'audience-index',
  owner: 'audience-team',
  window: daily(),
  chain: 'ordered',
  schedule: { cron: '30 2 * * *', timezone: 'America/New_York', gap: 'shift', fold: 'first', catchUp: 'all', overlap: 'queue' },
  deadline: { published: '06:00' },
  datasets: {
    segment_adds: {
      columns: { user_id: 'text', segment_id: 'bigint', ts: 'timestamp' },
      buckets: { by: 'user_id', count: 8 },
      pii: ['user_id'],
    },
    pixel_fires: {
      columns: { user_id: 'text', pixel_id: 'bigint', ts: 'timestamp' },
      buckets: { by: 'user_id', count: 8 },
      pii: ['user_id'],
    },
    segments: {
      columns: { segment_id: 'bigint', segment_name: 'text', segment_group: 'text' },
      key: ['segment_id'],
    },
    pixels: {
      columns: { pixel_id: 'bigint', pixel_name: 'text', advertiser: 'text' },
      key: ['pixel_id'],
    },
    udb: {
      kind: 'state',
      columns: { user_id: 'text', segment_id: 'bigint', first_added_at: 'timestamp', last_added_at: 'timestamp' },
      key: ['user_id', 'segment_id'],
      buckets: { by: 'user_id', count: 8 },
      pii: ['user_id'],
    },
    site: {
      kind: 'state',
      columns: { user_id: 'text', pixel_id: 'bigint', first_fired_at: 'timestamp', last_fired_at: 'timestamp' },
      key: ['user_id', 'pixel_id'],
      buckets: { by: 'user_id', count: 8 },
      pii: ['user_id'],
    },
    /** Distinct users counted bucket by bucket; `measure` says which of the five counts a row is. */
    overlap_counts: {
      columns: { measure: 'text', pixel_id: 'bigint', segment_id: 'bigint', segment_group: 'text', users: 'bigint' },
    },
    report: {
      columns: {
        pixel_id: 'bigint',
        segment_id: 'bigint',
        segment_group: 'text',
        users_segment_pixel: 'bigint',
        users_group_pixel: 'bigint',
        users_segment: 'bigint',
        users_group: 'bigint',
        index: 'double',
        index_low: 'double',
        index_high: 'double',
        as_of: 'date',
      },
      key: ['pixel_id', 'segment_id'],
    },
    audience_segments: {
      columns: { segment_id: 'bigint', segment_name: 'text', segment_group: 'text' },
      key: ['segment_id'],
    },
    audience_pixels: {
      columns: { pixel_id: 'bigint', pixel_name: 'text', advertiser: 'text' },
      key: ['pixel_id'],
    },
  },
  stages: {
    segmentAdds: ingest({ landing: 'segment-adds', writes: 'segment_adds', eventTime: 'ts' }),
    pixelFires: ingest({ landing: 'pixel-fires', writes: 'pixel_fires', eventTime: 'ts' }),
    segments: ingest({ reference: 'segments.csv', writes: 'segments' }),
    pixels: ingest({ reference: 'pixels.csv', writes: 'pixels' }),
    landed: check({ needs: ['segmentAdds', 'pixelFires'], suite: landedSuite }),
    updateUdb: compute({
      needs: ['landed'],
      reads: { adds: 'segment_adds', udb: previous('udb') },
      sql: 'update-udb.sql',
      bootstrap: 'bootstrap-udb.sql',
      writes: 'udb',
      each: 'bucket',
    }),
    updateSite: compute({
      needs: ['landed'],
      reads: { fires: 'pixel_fires', site: previous('site') },
      sql: 'update-site.sql',
      bootstrap: 'bootstrap-site.sql',
      writes: 'site',
      each: 'bucket',
    }),
    countOverlaps: compute({
      reads: { udb: 'udb', site: 'site', segments: 'segments' },
      sql: 'count-overlaps.sql',
      writes: 'overlap_counts',
      each: 'bucket',
    }),
    aggregate: compute({ reads: { overlap_counts: 'overlap_counts' }, sql: 'aggregate.sql', writes: 'report' }),
    nameSegments: compute({
      reads: { segments: 'segments', overlap_counts: 'overlap_counts' },
      sql: 'name-segments.sql',
      writes: 'audience_segments',
    }),
    namePixels: compute({
      reads: { pixels: 'pixels', overlap_counts: 'overlap_counts' },
      sql: 'name-pixels.sql',
      writes: 'audience_pixels',
    }),
    judge: check({ needs: ['landed', 'updateUdb', 'updateSite', 'aggregate', 'nameSegments', 'namePixels'], suite: reportSuite }),
    publish: publish({
      needs: ['judge'],
      mode: 'newest',
      tables: {
        audience_index: { from: 'report', key: ['pixel_id', 'segment_id'], indexes: [['segment_id']] },
        audience_segments: { from: 'audience_segments', key: ['segment_id'] },
        audience_pixels: { from: 'audience_pixels', key: ['pixel_id'] },
      },
    }),
  },
});
