import { invalidRequest } from './aws-error';

/** What EMR hands out at a time of steps and of clusters. */
export const PAGE_SIZE = 50;

export interface Page<T> {
  readonly items: readonly T[];
  /** What the next call names; absent on the last page. */
  readonly marker?: string;
}

/**
 * The page of `items` after the one that ended with `marker`. The marker names the last item that was told, so that what is added
 * in front meanwhile neither repeats nor hides one. Throws InvalidRequestException for a marker that was never handed out.
 */
export function pageOf<T extends { readonly id: string }>(items: readonly T[], marker: string | undefined, size = PAGE_SIZE): Page<T> {
  const from = marker === undefined ? 0 : items.findIndex(({ id }) => markerOf(id) === marker) + 1;
  if (marker !== undefined && from === 0) throw invalidRequest('The marker is not valid.');
  const page = items.slice(from, from + size);
  const last = page.at(-1);
  return { items: page, ...(last === undefined || from + size >= items.length ? {} : { marker: markerOf(last.id) }) };
}

function markerOf(id: string): string {
  return Buffer.from(`after ${id}`).toString('base64url');
}
