import { randomBytes } from 'node:crypto';
import { readFileSync } from 'node:fs';
import path from 'node:path';
import { z } from 'zod';
import { writeFileAtomically } from '../../lib/atomic-file';
import { AlmanacError } from '../../pipelines/failures';
import type { Credential } from './signature';

/** Where the key pair comes from: `environment` that of the caller, `file` one that was named, `own` made up here and kept with the state. */
export interface GivenCredentials {
  readonly credentials: readonly Credential[];
  readonly source: 'environment' | 'file' | 'own';
}

const FILE = z
  .array(
    z.strictObject({
      accessKeyId: z.string().min(1),
      secretAccessKey: z.string().min(1),
      sessionToken: z.string().optional(),
      /** Of temporary credentials. */
      expires: z.iso.datetime({ offset: true }).optional(),
    }),
  )
  .min(1);

const SHAPE = '[{"accessKeyId": "…", "secretAccessKey": "…"}]';

/** The credentials to take; those of a file, else of the environment, else of the state directory. Throws `emr.local-credentials`. */
export function givenCredentials(file: string | undefined, environment: NodeJS.ProcessEnv, stateDirectory: string): GivenCredentials {
  if (file !== undefined) return { credentials: fromFile(file), source: 'file' };
  const { AWS_ACCESS_KEY_ID: accessKeyId, AWS_SECRET_ACCESS_KEY: secretAccessKey, AWS_SESSION_TOKEN: sessionToken } = environment;
  if (accessKeyId && secretAccessKey)
    return { credentials: [{ accessKeyId, secretAccessKey, ...(sessionToken ? { sessionToken } : {}) }], source: 'environment' };
  return { credentials: fromFile(ownFile(stateDirectory)), source: 'own' };
}

/** The same pair for every start in one state directory. */
function ownFile(stateDirectory: string): string {
  const file = path.join(stateDirectory, 'credentials.json');
  try {
    readFileSync(file);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'ENOENT') throw error;
    const pair = {
      accessKeyId: `AKIA${randomBytes(8).toString('hex').toUpperCase()}`,
      secretAccessKey: randomBytes(30).toString('base64url'),
    };
    writeFileAtomically(file, `${JSON.stringify([pair])}\n`, 0o600);
  }
  return file;
}

/** What is wrong is told without what the file holds. */
function fromFile(file: string): readonly Credential[] {
  let value: unknown;
  try {
    value = JSON.parse(readFileSync(file, 'utf8'));
  } catch (error) {
    const reason = error instanceof SyntaxError ? 'it is not JSON' : ((error as NodeJS.ErrnoException).code ?? 'it cannot be read');
    throw unusable(file, reason, error);
  }
  const parsed = FILE.safeParse(value);
  if (parsed.success)
    return parsed.data.map(({ accessKeyId, secretAccessKey, sessionToken, expires }) => ({
      accessKeyId,
      secretAccessKey,
      ...(sessionToken === undefined ? {} : { sessionToken }),
      ...(expires === undefined ? {} : { expiresAt: Date.parse(expires) }),
    }));
  const issue = parsed.error.issues[0];
  throw unusable(
    file,
    `${issue?.path.join('.') || 'the list'}: ${issue?.code === 'unrecognized_keys' ? 'unknown name' : (issue?.message ?? 'not usable')}`,
  );
}

function unusable(file: string, reason: string, cause?: unknown): AlmanacError {
  return new AlmanacError('emr.local-credentials', `the credentials in ${file} cannot be used: ${reason}`, {
    next: `write a JSON list of key pairs into it, like ${SHAPE}`,
    details: { file },
    ...(cause instanceof SyntaxError ? {} : { cause }),
  });
}
