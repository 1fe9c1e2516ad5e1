import { setTimeout as sleep } from 'node:timers/promises';
import pg from 'pg';

/** Rows are joined of three tables for one pixel; each carries the stamp of its publication, so a mix shows. */
const QUERY = `
  select count(*)::int as "rows", min(least(i.stamp, s.stamp, p.stamp))::int as low, max(greatest(i.stamp, s.stamp, p.stamp))::int as high
  from audience_index i join audience_segments s on s.segment_id = i.segment_id join audience_pixels p on p.pixel_id = i.pixel_id
  where i.pixel_id = $1`;

/** A reader kept from its rows for so long has noticed. */
const STALL_MS = 1_000;

export interface ReadersOptions {
  readonly databaseUrl: string;
  readonly readers: number;
  /** Of each reader; half the readers prepare their statement. */
  readonly queriesPerSecond: number;
  readonly pixels: number;
  /** Rows a whole publication has for one pixel. */
  readonly rowsPerPixel: number;
}

/** Milliseconds from sending a query to having its rows. */
export interface Latencies {
  readonly reads: number;
  readonly p50: number;
  readonly p99: number;
  readonly max: number;
}

export interface ReadersReport {
  readonly reads: number;
  readonly errors: readonly string[];
  /** Reads that saw no row. */
  readonly empty: number;
  /** Reads that saw rows of several publications, or not all rows of one. */
  readonly mixed: number;
  /** REPEATABLE READ sessions that saw another publication than before. */
  readonly changed: number;
  readonly stalls: number;
  /** Second reads of REPEATABLE READ sessions. */
  readonly snapshotReads: number;
  /** Long transactions that came to their end. */
  readonly longTransactions: number;
  readonly arms: Readonly<Record<string, Latencies>>;
}

/** A REPEATABLE READ session that has read once. */
export interface SnapshotSession {
  readonly stamp: number | undefined;
  /** Reads again, compares, ends the session. */
  readAgain(): Promise<void>;
}

export interface HeldTransaction {
  /** Resolves when it is committed. */
  end(): Promise<void>;
}

export interface Readers {
  /** Queries due from now on count for this arm. */
  arm(name: string): void;
  /** With `keepsLocks` false the session keeps its snapshot but gives the locks of its first read back. */
  snapshot(keepsLocks: boolean): Promise<SnapshotSession>;
  /** One more session whose transaction has an id, reads, and stays open for so many milliseconds or until it is ended. */
  holdTransaction(milliseconds: number): HeldTransaction;
  /** What was seen so far. */
  report(): ReadersReport;
  stop(): Promise<ReadersReport>;
}

/** Everything wrong a report shows, as sentences; a method of publishing passes when there is none. */
export function complaints(report: ReadersReport): string[] {
  return [
    ...(report.errors.length > 0 ? [`${report.errors.length} reads failed, the first with: ${report.errors[0]}`] : []),
    ...(report.empty > 0 ? [`${report.empty} reads were empty`] : []),
    ...(report.mixed > 0 ? [`${report.mixed} reads were mixed`] : []),
    ...(report.changed > 0 ? [`${report.changed} REPEATABLE READ sessions changed publication`] : []),
    ...(report.stalls > 0 ? [`${report.stalls} reads stalled for more than ${STALL_MS} ms`] : []),
  ];
}

/** Starts readers on a database whose three tables are there; they run until `stop`. */
export async function startReaders(options: ReadersOptions): Promise<Readers> {
  const period = 1_000 / options.queriesPerSecond;
  const latencies: Record<string, number[]> = {};
  const errors: string[] = [];
  let [reads, empty, mixed, changed, stalls, snapshotReads, longTransactions, next] = [0, 0, 0, 0, 0, 0, 0, 0];
  let [arm, running] = ['all', true];
  const held = new Set<HeldTransaction>();

  async function connected(): Promise<pg.Client> {
    const client = new pg.Client({ connectionString: options.databaseUrl, application_name: 'reader' });
    client.on('error', (error) => errors.push(error.message));
    await client.connect();
    return client;
  }

  /** One read; the stamp it saw, if it was of one whole publication. */
  async function read(client: pg.Client, prepared: boolean): Promise<number | undefined> {
    const values = [next++ % options.pixels];
    try {
      const { rows } = await client.query<{ rows: number; low: number | null; high: number | null }>(
        prepared ? { name: 'joined', text: QUERY, values } : { text: QUERY, values },
      );
      reads++;
      const [row] = rows;
      if (row === undefined || row.rows === 0 || row.low === null) empty++;
      else if (row.rows !== options.rowsPerPixel || row.low !== row.high) mixed++;
      else return row.low;
    } catch (error) {
      errors.push(error instanceof Error ? error.message : String(error));
    }
    return undefined;
  }

  async function reader(index: number, client: pg.Client): Promise<void> {
    // Readers are spread over the period; one that is late sends at once but does not make up for what it missed.
    let due = performance.now() + (index / options.readers) * period;
    while (running) {
      const early = due - performance.now();
      if (early > 0) await sleep(early);
      const counts = arm;
      const sent = performance.now();
      await read(client, index % 2 === 0);
      const took = performance.now() - sent;
      (latencies[counts] ??= []).push(took);
      if (took > STALL_MS) stalls++;
      due = Math.max(due + period, sent);
    }
    await client.end();
  }

  function holdTransaction(milliseconds: number): HeldTransaction {
    let holding = true;
    const session = (async () => {
      const client = await connected();
      const end = performance.now() + milliseconds;
      await client.query('begin');
      await client.query('select pg_current_xact_id()');
      while (holding && performance.now() < end) {
        await read(client, false);
        await sleep(period);
      }
      // A read that failed has aborted the transaction and is counted already.
      await client.query('commit');
      await client.end();
      longTransactions++;
    })();
    const transaction: HeldTransaction = {
      end() {
        holding = false;
        held.delete(transaction);
        return session;
      },
    };
    held.add(transaction);
    return transaction;
  }

  function report(): ReadersReport {
    const arms = Object.fromEntries(Object.entries(latencies).map(([name, of]) => [name, summary(of)]));
    return { reads, errors: [...errors], empty, mixed, changed, stalls, snapshotReads, longTransactions, arms };
  }

  const sessions = await Promise.all(Array.from({ length: options.readers }, connected));
  const looping = sessions.map((client, index) => reader(index, client));

  return {
    arm: (name) => (arm = name),
    report,
    async snapshot(keepsLocks) {
      const client = await connected();
      await client.query('begin isolation level repeatable read; savepoint unread');
      const stamp = await read(client, false);
      if (!keepsLocks) await client.query('rollback to savepoint unread');
      return {
        stamp,
        async readAgain() {
          const again = await read(client, false);
          snapshotReads++;
          if (again !== undefined && again !== stamp) changed++;
          await client.query('commit');
          await client.end();
        },
      };
    },
    holdTransaction,
    async stop() {
      running = false;
      await Promise.all([...looping, ...[...held].map((transaction) => transaction.end())]);
      return report();
    },
  };
}

function summary(latencies: readonly number[]): Latencies {
  const sorted = [...latencies].sort((a, b) => a - b);
  const at = (share: number): number => sorted[Math.min(sorted.length - 1, Math.floor(sorted.length * share))] ?? Number.NaN;
  return { reads: sorted.length, p50: at(0.5), p99: at(0.99), max: sorted.at(-1) ?? Number.NaN };
}
