import pg from 'pg';
import { WORKER_LOCK } from '../lib/migrate';
import { migrations, schemaMark } from '../lib/migrations';
import { WORKER_IDENTITY } from './worker-options';

/**
 * That this worker is at work, for whoever would migrate the control schema: a lock that its own session shares, so that it goes with the
 * process, whatever ends that. To be taken before the worker migrates: of a breaking migration and a worker of the build before, either
 * the migration finds the worker, or the worker the migration.
 */
export class Presence implements AsyncDisposable {
  private client: pg.Client | undefined;

  constructor(
    private readonly databaseUrl: string,
    private readonly role: string,
    private readonly known = migrations(),
  ) {}

  /** Takes the lock where it is not held; true when it had been lost, or was never held. */
  async assure(): Promise<boolean> {
    if (this.client !== undefined) return false;
    // Postgres cuts names at 63 bytes.
    const client = new pg.Client({
      connectionString: this.databaseUrl,
      application_name: `almanac ${this.role} ${WORKER_IDENTITY}`.slice(0, 63),
      keepAlive: true,
    });
    const lost = (): void => {
      if (this.client === client) this.client = undefined;
    };
    client.on('error', lost);
    client.on('end', lost);
    await client.connect();
    await client.query('select pg_advisory_lock_shared($1, $2)', [WORKER_LOCK, schemaMark(this.known)]);
    this.client = client;
    return true;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    const client = this.client;
    this.client = undefined;
    await client?.end();
  }
}
