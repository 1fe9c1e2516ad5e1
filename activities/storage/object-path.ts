import { AlmanacError } from '../../pipelines/failures';

/** Why a path is none of an object, as the end of a sentence; undefined for a good one. */
export function pathFault(objectPath: string): string | undefined {
  if (objectPath.includes('\0') || objectPath.includes('\\')) return 'its name holds a NUL or a backslash';
  const segments = objectPath.split('/');
  return segments.some((segment) => segment === '' || segment === '.' || segment === '..') ? 'its name is no plain path' : undefined;
}

/** Throws AlmanacError `store.path` for a path that is none of an object. */
export function requirePath(objectPath: string): string {
  if (pathFault(objectPath) !== undefined) throw outside(objectPath);
  return objectPath;
}

/** The refusal of a path that leaves the object store. */
export function outside(objectPath: string): AlmanacError {
  return new AlmanacError('store.path', `The path ${JSON.stringify(objectPath)} leaves the object store.`, {
    next: 'Use a plain relative path without "..", and no symbolic link to a place outside the data root.',
    details: { path: objectPath },
  });
}
