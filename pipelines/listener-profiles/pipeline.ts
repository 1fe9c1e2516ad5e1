import { carried, check, compute, daily, definePipeline, ingest, publish } from '../define';
import { landedSuite, profilesSuite } from './suites';

/** What is told of a customer, and averaged over all of them. */
const HABITS = {
  unique_tracks: 'bigint',
  night: 'bigint',
  morning: 'bigint',
  afternoon: 'bigint',
  evening: 'bigint',
  mobile: 'bigint',
} as const;

/** What each listener of a music service plays and when, and how listeners are on average. */
export const listenerProfiles = definePipeline({
  id: 'listener-profiles',
  owner: 'music-team',
  window: daily(),
  chain: 'independent',
  schedule: { cron: '0 3 * * *', timezone: 'UTC', gap: 'shift', fold: 'first', catchUp: 'latest', overlap: 'queue' },
  deadline: { published: '06:00' },
  datasets: {
    /** Lines of files that were not read before. */
    tracks: {
      columns: { event: 'bigint', customer: 'bigint', track: 'bigint', ts: 'timestamp', mobile: 'boolean', zip: 'text', landed_on: 'date' },
      optional: ['zip'],
      pii: ['zip'],
    },
    customers: {
      columns: { customer: 'bigint', name: 'text', gender: 'integer', level: 'integer', campaign: 'integer' },
      key: ['customer'],
      optional: ['name', 'gender', 'level', 'campaign'],
      pii: ['name'],
    },
    /** Events that count from this window on: each event id once. */
    new_plays: {
      columns: { event: 'bigint', customer: 'bigint', track: 'bigint', ts: 'timestamp', mobile: 'boolean' },
      key: ['event'],
    },
    /** Ids of all events counted so far, as ranges without gaps: ids are given out in order, so there are few. */
    counted_events: {
      kind: 'state',
      columns: { first_event: 'bigint', last_event: 'bigint' },
      key: ['first_event'],
    },
    /** Events that landed before their time. */
    waiting_plays: {
      kind: 'state',
      columns: { event: 'bigint', customer: 'bigint', track: 'bigint', ts: 'timestamp', mobile: 'boolean' },
    },
    /** Plays of a customer and track so far: grows with customers and tracks, not with plays. */
    listens: {
      kind: 'state',
      columns: {
        customer: 'bigint',
        track: 'bigint',
        plays: 'bigint',
        night: 'bigint',
        morning: 'bigint',
        afternoon: 'bigint',
        evening: 'bigint',
        mobile: 'bigint',
      },
      key: ['customer', 'track'],
    },
    customer_plays: {
      columns: {
        customer: 'bigint',
        plays: 'bigint',
        ...HABITS,
      },
      key: ['customer'],
    },
    listener_profiles: {
      columns: {
        customer: 'bigint',
        name: 'text',
        gender: 'integer',
        level: 'integer',
        campaign: 'integer',
        ...HABITS,
      },
      key: ['customer'],
      pii: ['name'],
      file: 'live_table.csv',
    },
    listener_averages: {
      columns: {
        metric: 'text',
        mean: 'double',
        variance: 'double',
        min: 'double',
        max: 'double',
        non_zeros: 'bigint',
        count: 'bigint',
      },
      key: ['metric'],
      file: 'agg_table.csv',
    },
    /** One row: the same plays counted by event, by customer and track, by customer, and by time of day. */
    play_totals: {
      columns: { events: 'bigint', plays: 'bigint', profiled: 'bigint', parts: 'bigint', customers: 'bigint', profiles: 'bigint' },
    },
  },
  stages: {
    tracks: ingest({ landing: 'tracks', folders: 'every', header: false, folderDate: 'landed_on', writes: 'tracks' }),
    customers: ingest({
      reference: 'cust.csv',
      names: { customer: 'CustID', name: 'Name', gender: 'Gender', level: 'Level', campaign: 'Campaign' },
      writes: 'customers',
    }),
    landed: check({ needs: ['tracks', 'customers'], suite: landedSuite }),
    countPlays: compute({
      reads: { tracks: 'tracks', counted: carried('counted_events', 'tracks'), waiting: carried('waiting_plays', 'tracks') },
      sql: 'count-plays.sql',
      writes: 'new_plays',
    }),
    noteEvents: compute({
      reads: { new_plays: 'new_plays', counted: carried('counted_events', 'tracks') },
      sql: 'note-events.sql',
      writes: 'counted_events',
    }),
    keepWaiting: compute({
      reads: { tracks: 'tracks', waiting: carried('waiting_plays', 'tracks') },
      sql: 'keep-waiting.sql',
      writes: 'waiting_plays',
    }),
    addListens: compute({
      reads: { new_plays: 'new_plays', listens: carried('listens', 'tracks') },
      sql: 'add-listens.sql',
      writes: 'listens',
    }),
    profile: compute({ reads: { listens: 'listens' }, sql: 'profile.sql', writes: 'customer_plays' }),
    nameCustomers: compute({
      reads: { customer_plays: 'customer_plays', customers: 'customers' },
      sql: 'name-customers.sql',
      writes: 'listener_profiles',
    }),
    average: compute({ reads: { customer_plays: 'customer_plays' }, sql: 'average.sql', writes: 'listener_averages' }),
    total: compute({
      reads: {
        counted: 'counted_events',
        listens: 'listens',
        customer_plays: 'customer_plays',
        listener_profiles: 'listener_profiles',
      },
      sql: 'total.sql',
      writes: 'play_totals',
    }),
    judge: check({ needs: ['landed', 'keepWaiting', 'average'], suite: profilesSuite }),
    publish: publish({
      needs: ['judge'],
      mode: 'newest',
      tables: {
        listener_profiles: { from: 'listener_profiles', key: ['customer'] },
        listener_averages: { from: 'listener_averages', key: ['metric'] },
      },
    }),
  },
});
