/** How a landing or reference file is read, told from its name alone. */
export interface LandingFormat {
  readonly kind: 'csv' | 'json' | 'parquet';
  /** Of the file as a whole; Parquet compresses inside. */
  readonly compression: 'none' | 'gzip' | 'zstd';
}

const FORM = /\.(?:(csv)|(jsonl?|ndjson))(\.gz|\.zst)?$|\.(parquet)$/i;

/** The endings {@link landingFormat} knows, for messages. */
export const LANDING_ENDINGS = '.csv, .json, .jsonl, .ndjson (each also .gz or .zst) or .parquet';

/** Undefined for an ending that is not one of {@link LANDING_ENDINGS}. */
export function landingFormat(path: string): LandingFormat | undefined {
  const match = FORM.exec(path);
  if (!match) return undefined;
  const [, csv, json, compressed] = match;
  const compression = compressed === undefined ? 'none' : compressed.toLowerCase() === '.gz' ? 'gzip' : 'zstd';
  return { kind: csv ? 'csv' : json ? 'json' : 'parquet', compression };
}

/** Whether a name is bookkeeping of whoever writes the folder (`_SUCCESS`, `.part.tmp`, `_temporary/…`), never data. */
export function isHidden(pathInFolder: string): boolean {
  return pathInFolder.split('/').some((segment) => segment.startsWith('.') || segment.startsWith('_'));
}

/** The names of a CSV header; undefined when its quotes do not match. */
export function csvHeader(line: string): string[] | undefined {
  const text = line.replace(/^\uFEFF/, '');
  if (!/^(?:[^",]*|\s*"(?:[^"]|"")*"\s*)(?:,(?:[^",]*|\s*"(?:[^"]|"")*"\s*))*$/.test(text)) return undefined;
  return [...`,${text}`.matchAll(/,(\s*"(?:[^"]|"")*"\s*|[^",]*)/g)].map(([, field = '']) => {
    const name = field.trim();
    return name.startsWith('"') ? name.slice(1, -1).replaceAll('""', '"') : name;
  });
}
