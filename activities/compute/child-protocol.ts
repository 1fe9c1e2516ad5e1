/** What the engine and a DuckDB child say to each other over IPC. Everything is JSON. */
import type { SessionLimits, SessionUsage } from './engine';

export type ChildRequest =
  | { readonly id: number; readonly do: 'begin'; readonly limits: SessionLimits; readonly directory: string }
  | { readonly id: number; readonly do: 'exec'; readonly sql: string }
  | { readonly id: number; readonly do: 'rows'; readonly sql: string; readonly limit: number }
  | { readonly id: number; readonly do: 'usage' }
  | { readonly id: number; readonly do: 'end' }
  /** Stops the running statement and refuses later ones until the next `begin`. */
  | { readonly id: number; readonly do: 'interrupt' };

export type ChildReply =
  | { readonly id: number; readonly value?: SessionUsage | readonly Record<string, unknown>[] }
  | { readonly id: number; readonly error: string };
