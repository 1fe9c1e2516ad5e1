import fc from 'fast-check';
import { nextForCluster, type ClusterFacts, type ListedCluster } from '../../../pipelines/cluster-effect';

const SETTLE_MS = 1_000;
const at = (ms: number): Date => new Date(1_000_000 + ms);
const UNSENT: ClusterFacts = { cluster: null, sentAt: null };

function next(facts: ClusterFacts, listedAt?: number, clusters: readonly ListedCluster[] = []): ReturnType<typeof nextForCluster> {
  return nextForCluster(facts, listedAt === undefined ? undefined : { at: at(listedAt), clusters }, SETTLE_MS);
}

test('the cluster on record is used; without one its name is looked up before anything is asked for', () => {
  expect(next({ cluster: 'j-1', sentAt: null })).toEqual({ do: 'use', cluster: 'j-1' });
  expect(next(UNSENT)).toEqual({ do: 'look' });
  expect(next(UNSENT, 0)).toEqual({ do: 'create' });
});

test('one that is found is adopted, the oldest that lives', () => {
  const clusters = ['j-1', 'j-2', 'j-3'].map((id) => ({ id, ended: id === 'j-1' }));
  expect(next(UNSENT, 0, clusters)).toEqual({ do: 'adopt', cluster: 'j-2' });
});

test('after a request whose answer is not known nothing is decided before it would be listed', () => {
  const sent = { cluster: null, sentAt: at(0) };
  expect(next(sent, SETTLE_MS - 1)).toEqual({ do: 'look', notBefore: at(SETTLE_MS) });
  expect(next(sent, SETTLE_MS)).toEqual({ do: 'create' });
  const over = [{ id: 'j-1', ended: true }];
  expect(next(sent, SETTLE_MS - 1, over)).toEqual({ do: 'look', notBefore: at(SETTLE_MS) });
  expect(next(sent, SETTLE_MS, over)).toEqual({ do: 'end', cluster: 'j-1' });
});

interface Maker {
  read: ClusterFacts;
  listing: { at: Date; clusters: ListedCluster[] } | undefined;
  /** What it came to; a dead one comes to nothing. */
  used: string | undefined;
}

/** A ledger row, an EMR that makes what it is asked for a while later, and makers that take turns as the shell does. */
class Game {
  now = 0;
  row: ClusterFacts = UNSENT;
  readonly made: { id: string; at: number }[] = [];
  readonly makers: Maker[];

  constructor(makers: number) {
    this.makers = Array.from({ length: makers }, () => ({ read: this.row, listing: undefined, used: undefined }));
  }

  /** One move of a maker. `delay`: of a request it sends; `told`: whether it hears of the answer, else it is another process that goes on. */
  move(maker: Maker, delay: number, told: boolean): void {
    if (maker.used !== undefined) return;
    const action = nextForCluster(maker.read, maker.listing, SETTLE_MS);
    switch (action.do) {
      case 'use':
        maker.used = action.cluster;
        break;
      case 'adopt':
        if (this.note(action.cluster)) maker.used = action.cluster;
        else maker.read = this.row;
        break;
      case 'look':
        if (action.notBefore !== undefined && action.notBefore > at(this.now)) maker.read = this.row;
        else
          maker.listing = {
            at: at(this.now),
            clusters: this.made.filter((one) => one.at <= this.now).map(({ id }) => ({ id, ended: false })),
          };
        break;
      case 'create':
        if (this.row.cluster === null && this.row.sentAt?.getTime() === maker.read.sentAt?.getTime()) {
          this.row = { ...this.row, sentAt: at(this.now) };
          const id = `j-${this.made.length + 1}`;
          this.made.push({ id, at: this.now + delay });
          if (told && this.note(id)) maker.used = id;
        }
        maker.read = this.row;
        maker.listing = undefined;
        break;
      case 'end':
        throw new Error('no cluster of this game ends');
    }
  }

  private note(id: string): boolean {
    if (this.row.cluster !== null && this.row.cluster !== id) return false;
    this.row = { ...this.row, cluster: id };
    return true;
  }
}

test('of any number of makers one asks, and all come to its cluster, whatever is lost and in any order', () => {
  const turn = fc.record({
    maker: fc.nat(3),
    waits: fc.nat(SETTLE_MS),
    delay: fc.nat(SETTLE_MS - 1),
    told: fc.boolean(),
  });
  fc.assert(
    fc.property(fc.array(turn, { maxLength: 60 }), (turns) => {
      const game = new Game(4);
      for (const { maker, waits, delay, told } of turns) {
        game.now += waits;
        const mover = game.makers[maker];
        if (mover) game.move(mover, delay, told);
      }
      // In the end all go on until they have what they want.
      for (let round = 0; round < 8; round += 1)
        for (const maker of game.makers) {
          game.now += SETTLE_MS;
          game.move(maker, 0, true);
        }
      expect(game.made).toHaveLength(1);
      expect(game.makers.map(({ used }) => used)).toEqual(Array(4).fill('j-1'));
    }),
  );
});
