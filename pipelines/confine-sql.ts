/** Closes a DuckDB session to all files but those of its stage, for good: an instance that was closed cannot be opened again. */
import { quoteText } from './quote-sql';

/** `files` may be read; what is below `folders` may be read and written. Order matters: the lists are taken while files are still open. */
export function confineSql({ files, folders }: { readonly files: readonly string[]; readonly folders: readonly string[] }): string {
  const list = (paths: readonly string[]): string => `[${paths.map(quoteText).join(', ')}]`;
  return [
    `set allowed_paths = ${list(files)}`,
    // Without the slash at its end a folder would allow its namesakes with a longer name.
    `set allowed_directories = ${list(folders.map((folder) => (folder.endsWith('/') ? folder : `${folder}/`)))}`,
    'set enable_external_access = false',
    'set lock_configuration = true',
  ].join('; ');
}
