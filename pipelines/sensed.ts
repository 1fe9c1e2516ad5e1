import type { VersionRef } from './types';

/** What held when a sense stage looked, pinned: a window's accepted versions, its publication, or the files of a folder. */
export type Sensed =
  | {
      readonly kind: 'accepted';
      readonly pipeline: string;
      readonly window: string;
      /** Of the accepted set. */
      readonly sequence: number;
      readonly versions: readonly VersionRef[];
    }
  | { readonly kind: 'published'; readonly pipeline: string; readonly window: string; readonly publication: number }
  | {
      readonly kind: 'marker' | 'quiet';
      readonly folder: string;
      /** How many there are; `files` names the marker, or the first hundred. */
      readonly count: number;
      readonly bytes: number;
      /** When the newest of them was last written, ISO. */
      readonly newest: string;
      readonly files: readonly string[];
    };
