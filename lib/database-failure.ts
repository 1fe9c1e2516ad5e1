import { isErrno } from './file-failure';
import { AlmanacError } from '../pipelines/failures';

/** What Postgres says to someone it will never let in; see its appendix A. */
const REFUSED: Readonly<Record<string, string>> = {
  '28P01': 'the user or the password is wrong',
  '28000': 'the user may not log in so, or does not exist',
  '3D000': 'the database does not exist',
};
/** What a TLS handshake ends with when the server's certificate is not what was asked for. */
const UNTRUSTED = /^(SELF_SIGNED_CERT_IN_CHAIN|DEPTH_ZERO_SELF_SIGNED_CERT|UNABLE_TO_|CERT_|ERR_TLS_|ERR_OSSL_|HOSTNAME_MISMATCH)/;
const FILES = ['sslrootcert', 'sslcert', 'sslkey'] as const;

/**
 * A connection that can never be made as it is configured, as `config.invalid` that names DATABASE_URL; undefined for anything else. The
 * URL is asked for the files it names only: it holds the password, so nothing of it is shown.
 */
export function databaseFailure(error: unknown, databaseUrl = process.env.DATABASE_URL): AlmanacError | undefined {
  if (!isErrno(error)) return noTls(error);
  const { code = '', path: file } = error;
  const why = REFUSED[code];
  if (why !== undefined) return invalid(`${why} (${error.message})`, 'its user, password and database', code, error);
  const option = file === undefined ? undefined : FILES.find((name) => fileOf(databaseUrl, name) === file);
  if (option !== undefined) return invalid(`its ${option} cannot be read (${error.message})`, `its ${option}`, code, error);
  if (UNTRUSTED.test(code)) {
    return invalid(`no TLS connection to the server (${error.message})`, 'its sslmode and sslrootcert', code, error);
  }
  return undefined;
}

/** pg says so without a code. */
function noTls(error: unknown): AlmanacError | undefined {
  if (!(error instanceof Error) || !/does not support SSL/.test(error.message)) return undefined;
  return invalid(`no TLS connection to the server (${error.message})`, 'its sslmode', '', error);
}

function invalid(problem: string, what: string, code: string, cause: Error): AlmanacError {
  return new AlmanacError('config.invalid', `DATABASE_URL: ${problem}`, {
    next: `correct ${what} in DATABASE_URL, or create what it names; then: almanac doctor`,
    details: { variable: 'DATABASE_URL', code },
    cause,
  });
}

function fileOf(databaseUrl: string | undefined, name: string): string | null | undefined {
  return databaseUrl !== undefined && URL.canParse(databaseUrl) ? new URL(databaseUrl).searchParams.get(name) : undefined;
}
