import type { Clock } from '../../lib/clock';
import { firstHead, withoutIntent, type ChainHead } from '../../pipelines/chain-head';
import type { ObjectStore } from './object-store';
import { chainHeads, headPath, HEADS, parseHeadPath } from './store-paths';

/** Heads of chains as numbered objects put if absent: writing the next number is the compare-and-swap. */
export interface ChainHeads {
  /** The newest; of number 0 for a chain that was never forked. */
  read(pipeline: string): Promise<ChainHead>;
  /** The newest with no intent: one that is found is withdrawn, unless its promoter is faster. */
  settled(pipeline: string): Promise<ChainHead>;
  /** False when somebody else wrote that number. */
  put(head: ChainHead): Promise<boolean>;
}

export function createChainHeads(store: ObjectStore, clock: Clock): ChainHeads {
  async function read(pipeline: string): Promise<ChainHead> {
    const numbers = (await store.list(chainHeads(pipeline))).map(({ path }) => parseHeadPath(path)?.number ?? 0);
    const highest = Math.max(0, ...numbers);
    return highest === 0 ? firstHead(pipeline) : readHead(store, pipeline, highest);
  }
  function put(head: ChainHead): Promise<boolean> {
    const body = { ...head, writtenAt: clock.now().toISOString() };
    return store.putIfAbsent(headPath(head.pipeline, head.number), `${JSON.stringify(body, undefined, 2)}\n`);
  }
  return {
    read,
    put,
    async settled(pipeline) {
      for (;;) {
        const head = await read(pipeline);
        if (head.promoting === undefined) return head;
        await put(withoutIntent(head));
      }
    },
  };
}

/** The newest head of every chain that was ever forked, by pipeline. */
export async function allHeads(store: ObjectStore): Promise<Map<string, ChainHead>> {
  const highest = new Map<string, number>();
  for (const { path } of await store.list(HEADS)) {
    const entry = parseHeadPath(path);
    if (entry !== undefined) highest.set(entry.pipeline, Math.max(entry.number, highest.get(entry.pipeline) ?? 0));
  }
  const heads = new Map<string, ChainHead>();
  for (const [pipeline, number] of highest) heads.set(pipeline, await readHead(store, pipeline, number));
  return heads;
}

async function readHead(store: ObjectStore, pipeline: string, number: number): Promise<ChainHead> {
  const body = await store.get(headPath(pipeline, number));
  return body === undefined ? firstHead(pipeline) : (JSON.parse(body.toString('utf8')) as ChainHead);
}
