import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { DuckDBInstance, type DuckDBConnection } from '@duckdb/node-api';
import { renderSql, windowValues } from '../../pipelines/sql-text';
import { parseWindow } from '../../pipelines/window';
import type { AudienceEvent, AudienceRow, Membership } from './audience-reference';
import type { LandedDay } from './random-landing';

const TEXTS = join(__dirname, '../../pipelines/audience-index/sql');

/** The pipeline's texts run by themselves in DuckDB, with its compute stages in order; `buckets` 1 runs them unbucketed. */
export class AudienceSql {
  readonly #texts = new Map<string, string>();

  private constructor(
    private readonly instance: DuckDBInstance,
    private readonly connection: DuckDBConnection,
    readonly buckets: number,
  ) {}

  static async open(buckets: number): Promise<AudienceSql> {
    const instance = await DuckDBInstance.create(':memory:', { threads: '1' });
    const sql = new AudienceSql(instance, await instance.connect(), buckets);
    await sql.#run("set timezone = 'UTC'");
    for (const source of ['adds', 'fires']) {
      await sql.#run(`create table landed_${source} (day date, bucket int, user_id varchar, id bigint, ts timestamp)`);
    }
    await sql.#run(
      'create table state_udb (bucket int, user_id varchar, segment_id bigint, first_added_at timestamp, last_added_at timestamp)',
    );
    await sql.#run(
      'create table state_site (bucket int, user_id varchar, pixel_id bigint, first_fired_at timestamp, last_fired_at timestamp)',
    );
    for (const [view, id, source] of [
      ['adds', 'segment_id', 'adds'],
      ['fires', 'pixel_id', 'fires'],
    ] as const) {
      await sql.#run(`create view ${view} as select user_id, id as ${id}, ts from landed_${source}
        where day between getvariable('first_day') and getvariable('day') and bucket = getvariable('bucket')`);
    }
    for (const view of ['udb', 'site']) {
      await sql.#run(`create view ${view} as select * exclude (bucket) from state_${view} where bucket = getvariable('bucket')`);
    }
    await sql.#run('create table segments (segment_id bigint, segment_name varchar, segment_group varchar)');
    await sql.#run('create table pixels (pixel_id bigint, pixel_name varchar, advertiser varchar)');
    return sql;
  }

  close(): void {
    this.connection.closeSync();
    this.instance.closeSync();
  }

  async reference(table: 'segments' | 'pixels', names: ReadonlyMap<number, readonly [string, string]>): Promise<void> {
    await this.#append(
      table,
      [...names].map(([id, [name, group]]) => `(${id}, ${text(name)}, ${text(group)})`),
    );
  }

  /** Adds one day's accepted rows to what has landed. */
  async land(source: 'adds' | 'fires', date: string, events: readonly AudienceEvent[]): Promise<void> {
    await this.#land(
      source,
      events.map((event) => tuple(date, event)),
    );
  }

  /** Lands all days at once: a window still sees its own rows only, a bootstrap those up to its own. */
  async landAll(days: readonly LandedDay[]): Promise<void> {
    for (const source of ['adds', 'fires'] as const) {
      await this.#land(
        source,
        days.flatMap((day) => day[source].accepted.map((event) => tuple(day.date, event))),
      );
    }
  }

  /** Runs the two updates over the state and the rows landed under that date. */
  async update(date: string): Promise<void> {
    await this.#state('update-udb.sql', 'state_udb', date);
    await this.#state('update-site.sql', 'state_site', date);
  }

  /** Replaces the state by what the bootstrap texts make of all rows landed up to that date. */
  async bootstrap(date: string): Promise<void> {
    await this.#state('bootstrap-udb.sql', 'state_udb', date, '0001-01-01');
    await this.#state('bootstrap-site.sql', 'state_site', date, '0001-01-01');
  }

  async report(date: string): Promise<void> {
    await this.#each('count-overlaps.sql', 'overlap_counts', date);
    for (const [file, table] of [
      ['aggregate.sql', 'report'],
      ['name-segments.sql', 'audience_segments'],
      ['name-pixels.sql', 'audience_pixels'],
    ] as const) {
      await this.#run(`create or replace temp table ${table} as ${this.#text(file, date)}`);
    }
  }

  async memberships(): Promise<Membership[]> {
    return this.#members('state_udb', 'segment_id', 'first_added_at', 'last_added_at');
  }

  async visits(): Promise<Membership[]> {
    return this.#members('state_site', 'pixel_id', 'first_fired_at', 'last_fired_at');
  }

  async rows(): Promise<(AudienceRow & { asOf: string })[]> {
    const rows = await this.#rows('select * replace (cast(as_of as varchar) as as_of) from report');
    return rows.map((row) => ({
      pixel: Number(row['pixel_id']),
      segment: Number(row['segment_id']),
      group: String(row['segment_group']),
      usersSegmentPixel: Number(row['users_segment_pixel']),
      usersGroupPixel: Number(row['users_group_pixel']),
      usersSegment: Number(row['users_segment']),
      usersGroup: Number(row['users_group']),
      index: Number(row['index']),
      low: Number(row['index_low']),
      high: Number(row['index_high']),
      asOf: String(row['as_of']),
    }));
  }

  async names(table: 'audience_segments' | 'audience_pixels'): Promise<Map<number, readonly [string, string]>> {
    const rows = await this.#rows(`select columns(*)::varchar from ${table}`);
    return new Map(
      rows.map((row) => Object.values(row).map(String)).map(([id = '', name = '', group = '']) => [Number(id), [name, group]]),
    );
  }

  async #members(table: string, id: string, first: string, last: string): Promise<Membership[]> {
    const rows = await this.#rows(`select user_id, ${id} as id, epoch_us(${first}) as first, epoch_us(${last}) as last from ${table}`);
    return rows.map((row) => ({
      user: String(row['user_id']),
      id: Number(row['id']),
      first: Number(row['first']),
      last: Number(row['last']),
    }));
  }

  async #state(file: string, table: string, date: string, firstDay = date): Promise<void> {
    await this.#each(file, 'next_state', date, firstDay);
    await this.#run(`create or replace table ${table} as select hash(user_id) % ${this.buckets} as bucket, * from next_state`);
  }

  /** Runs a text once a bucket, over views that show that bucket only, and collects the rows in `into`. */
  async #each(file: string, into: string, date: string, firstDay = date): Promise<void> {
    await this.#run(`set variable first_day = date '${firstDay}'`);
    await this.#run(`set variable day = date '${date}'`);
    for (let bucket = 0; bucket < this.buckets; bucket++) {
      await this.#run(`set variable bucket = ${bucket}`);
      const rows = this.#text(file, date);
      await this.#run(bucket === 0 ? `create or replace temp table ${into} as ${rows}` : `insert into ${into} ${rows}`);
    }
  }

  #text(file: string, date: string): string {
    const known = this.#texts.get(file) ?? readFileSync(join(TEXTS, file), 'utf8');
    this.#texts.set(file, known);
    return renderSql(known, windowValues(parseWindow({ every: 'day', timezone: 'UTC' }, date)), file);
  }

  async #land(source: 'adds' | 'fires', tuples: readonly string[]): Promise<void> {
    if (tuples.length === 0) return;
    await this.#run(`insert into landed_${source} select cast(day as date), hash(user_id) % ${this.buckets}, user_id, id, make_timestamp(us)
      from (values ${tuples.join(', ')}) as row (day, user_id, id, us)`);
  }

  async #append(table: string, tuples: readonly string[]): Promise<void> {
    if (tuples.length > 0) await this.#run(`insert into ${table} values ${tuples.join(', ')}`);
  }

  async #run(sql: string): Promise<void> {
    await this.connection.run(sql);
  }

  async #rows(sql: string): Promise<Record<string, unknown>[]> {
    return (await this.connection.runAndReadAll(sql)).getRowObjectsJson();
  }
}

function tuple(date: string, { user, id, at }: AudienceEvent): string {
  return `('${date}', ${text(user)}, ${id}::bigint, ${at}::bigint)`;
}

function text(value: string): string {
  return `'${value.replaceAll("'", "''")}'`;
}
