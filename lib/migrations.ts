import { readdirSync, readFileSync } from 'node:fs';
import path from 'node:path';
import { packageRoot } from './package-root';
import { sha256 } from './sha256';

/** One change of the control schema: `activities/ledger/sql/NNNNNN-name.sql`. */
export interface Migration {
  readonly name: string;
  readonly sql: string;
  /** Why the build before cannot work with the schema after it, as the file says in a line `-- breaking: …`; undefined when it can. */
  readonly breaking: string | undefined;
}

/** All that this build knows, in their order. */
export function migrations(directory = path.join(packageRoot(), 'activities', 'ledger', 'sql')): Migration[] {
  return readdirSync(directory)
    .filter((name) => /^\d{6}-.*\.sql$/.test(name))
    .sort()
    .map((name) => {
      const sql = readFileSync(path.join(directory, name), 'utf8');
      return { name, sql, breaking: /^-- breaking: (.+)$/m.exec(sql)?.[1] };
    });
}

/** Tells builds apart by the schema they know; positive, of 31 bits. */
export function schemaMark(known: readonly Migration[]): number {
  return Number.parseInt(sha256(known.map(({ name }) => name).join('\n')).slice(0, 8), 16) >>> 1;
}
