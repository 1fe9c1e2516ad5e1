/**
 * EMR and its callers as a game for property tests: steps are listed late, answers get lost, requests arrive twice, jobs fail anywhere, a cluster
 * ends, callers are killed or frozen between any two acts and woken later. Every choice comes from a tape; when that is played nothing goes
 * wrong any more and one caller goes on to the end.
 */
import {
  FENCE,
  FINAL_STATES,
  nextForEffect,
  type EffectEnd,
  type EffectFacts,
  type ListedStep,
  type StepState,
  type TokenHolder,
} from '../../pipelines/effect';

export const SETTLE_MS = 60;

export interface ModelRules {
  /** Jobs claim the token of their round, and ending a round does. */
  readonly tokens: boolean;
  /** Callers that were overtaken may wake and go on. */
  readonly zombies: boolean;
  /** The longest a step takes to be listed. */
  readonly listedWithinMs: number;
  /** A request may be delivered twice. */
  readonly doubles: boolean;
}

interface ModelStep {
  readonly id: string;
  readonly round: number;
  readonly submission: string;
  readonly listedAt: number;
  state: StepState;
  progress: 'begun' | 'claimed' | 'written';
}

interface ModelRound extends EffectFacts {
  readonly round: number;
  attempt: number;
  state: EffectFacts['state'];
  step: string | null;
  sentAt: Date | null;
  end?: EffectEnd;
}

interface Caller {
  readonly attempt: number;
  readonly round: number;
  facts: EffectFacts;
  listing: { readonly at: Date; readonly steps: readonly ListedStep[] } | undefined;
  clusterEndedAt: Date | undefined;
  token: TokenHolder | undefined;
  wanted: boolean;
  sending: string | undefined;
  over: boolean;
}

export class EmrGame {
  readonly rounds: ModelRound[] = [];
  readonly steps: ModelStep[] = [];
  readonly callers: Caller[] = [];
  #now = 1_000;
  #clusterEnded = false;
  #played = 0;
  #attempts = 0;
  readonly #tokens = new Map<number, string>();

  constructor(
    private readonly rules: ModelRules,
    private readonly tape: readonly number[],
  ) {}

  /** Plays the tape, then to the end without faults. */
  play(): void {
    while (this.#played < this.tape.length) this.#turn();
    let current = this.#takeOver();
    for (let turns = 0; current.over ? this.#last()?.state !== 'completed' && turns < 5000 : turns < 5000; turns += 1) {
      this.#now += 7;
      for (const step of this.steps) this.#advance(step, 0);
      if (current.over && this.#last()?.state !== 'completed') current = this.#takeOver();
      this.#act(current);
    }
    // Whoever sleeps wakes at last.
    for (const caller of this.rules.zombies ? this.callers : []) for (let acts = 0; acts < 60; acts += 1) this.#act(caller);
    for (let turns = 0; turns < 20; turns += 1) for (const step of this.steps) this.#advance(step, 0);
  }

  /** Steps that wrote their rows and COMPLETED: those whose rows anyone would commit. */
  committed(): readonly ModelStep[] {
    return this.steps.filter(({ state, progress }) => state === 'completed' && progress === 'written');
  }

  /** A choice of the tape below `bound`; 0, which is never a fault, once it is played. */
  #choose(bound: number): number {
    const choice = this.tape[this.#played];
    this.#played += 1;
    return choice === undefined ? 0 : choice % bound;
  }

  #last(): ModelRound | undefined {
    return this.rounds.at(-1);
  }

  #turn(): void {
    this.#now += 1 + this.#choose(12);
    const current = this.callers.at(-1);
    switch (this.#choose(8)) {
      case 0:
      case 1:
      case 2:
        if (current !== undefined) this.#act(current);
        break;
      case 3:
      case 4: {
        const step = this.steps[this.#choose(Math.max(1, this.steps.length))];
        if (step !== undefined) this.#advance(step, this.#choose(6));
        break;
      }
      case 5:
        // The one before is killed, or frozen where zombies are.
        if (current !== undefined && !this.rules.zombies) current.over = true;
        this.#takeOver();
        break;
      case 6: {
        const zombie = this.callers[this.#choose(Math.max(1, this.callers.length))];
        if (zombie !== undefined && (this.rules.zombies || zombie === current)) this.#act(zombie);
        break;
      }
      default:
        if (this.#choose(12) === 11) this.#endCluster();
        else if (current !== undefined && this.#choose(12) === 11) current.wanted = false;
    }
  }

  #endCluster(): void {
    this.#clusterEnded = true;
    for (const step of this.steps) if (['pending', 'running', 'cancelling'].includes(step.state)) step.state = 'interrupted';
  }

  /** A new attempt, as the ledger opens one: of the open round, or of the next. */
  #takeOver(): Caller {
    const attempt = (this.#attempts += 1);
    let row = this.#last();
    if (row === undefined || (FINAL_STATES.includes(row.state) && row.state !== 'completed')) {
      row = { round: this.rounds.length + 1, attempt, state: 'intended', step: null, sentAt: null };
      this.rounds.push(row);
      // Of a lost cluster the next round gets another.
      this.#clusterEnded = false;
    }
    row.attempt = attempt;
    const caller: Caller = {
      attempt,
      round: row.round,
      facts: { state: row.state, step: row.step, sentAt: row.sentAt },
      listing: undefined,
      clusterEndedAt: undefined,
      token: undefined,
      wanted: true,
      sending: undefined,
      over: FINAL_STATES.includes(row.state),
    };
    this.callers.push(caller);
    return caller;
  }

  /** As the ledger writes: only for the newest attempt of a round that is open. */
  #write(caller: Caller, facts: Partial<EffectFacts>, end?: EffectEnd): boolean {
    const row = this.rounds[caller.round - 1];
    if (row === undefined || row.attempt !== caller.attempt || FINAL_STATES.includes(row.state)) {
      caller.over = true;
      return false;
    }
    Object.assign(row, facts, end === undefined ? {} : { end });
    caller.facts = { state: row.state, step: row.step, sentAt: row.sentAt };
    return true;
  }

  #act(caller: Caller): void {
    if (caller.over) return;
    if (caller.sending !== undefined) return this.#send(caller, caller.sending);
    const action = nextForEffect({
      effect: caller.facts,
      wanted: caller.wanted,
      listing: caller.listing,
      clusterEndedAt: caller.clusterEndedAt,
      token: caller.token,
      settleMs: SETTLE_MS,
    });
    switch (action.do) {
      case 'look':
        if (action.notBefore === undefined || action.notBefore.getTime() <= this.#now) this.#look(caller);
        return;
      case 'submit':
        if (!this.#write(caller, { sentAt: new Date(this.#now) })) return;
        caller.sending = `${caller.attempt}-${this.#played}-${this.steps.length}`;
        // The settling time begins at the record: who is slower than it allows for is a zombie.
        if (this.rules.zombies) return;
        if (this.#choose(8) === 7) caller.over = true;
        else this.#send(caller, caller.sending);
        return;
      case 'note':
        this.#write(caller, { step: action.step, state: action.state });
        return;
      case 'fence':
        if (this.rules.tokens && !this.#tokens.has(caller.round)) this.#tokens.set(caller.round, FENCE);
        caller.token = { submission: this.#tokens.get(caller.round) };
        return;
      case 'cancel':
        for (const step of this.steps)
          if (action.steps.includes(step.id) && ['pending', 'running'].includes(step.state)) step.state = 'cancelling';
        caller.listing = undefined;
        return;
      case 'end':
        this.#write(caller, { state: action.end.state }, action.end);
        caller.over = true;
        return;
      case 'nothing':
        caller.over = true;
    }
  }

  #look(caller: Caller): void {
    if (this.#clusterOf(caller.round)) caller.clusterEndedAt ??= new Date(this.#now);
    const steps = this.steps.filter(({ round, listedAt }) => round === caller.round && listedAt <= this.#now);
    caller.listing = { at: new Date(this.#now), steps: steps.map(({ id, submission, state }) => ({ id, submission, state })) };
  }

  /** Clusters of earlier rounds ended with them. */
  #clusterOf(round: number): boolean {
    return this.#clusterEnded || round < this.rounds.length;
  }

  #send(caller: Caller, submission: string): void {
    caller.sending = undefined;
    caller.listing = undefined;
    // Refused for sure, as a throttled request is.
    if (this.#clusterOf(caller.round) || this.#choose(10) === 9) {
      this.#write(caller, { sentAt: null });
      return;
    }
    const arrives = this.#choose(8) !== 7;
    const copies = !arrives ? 0 : this.rules.doubles && this.#choose(10) === 9 ? 2 : 1;
    let id: string | undefined;
    for (let copy = 0; copy < copies; copy += 1) {
      id = `s-${this.steps.length + 1}`;
      const listedAt = this.#now + this.#choose(this.rules.listedWithinMs + 1);
      this.steps.push({ id, round: caller.round, submission, listedAt, state: 'pending', progress: 'begun' });
    }
    const answered = this.#choose(4) !== 3;
    if (id !== undefined && answered) this.#write(caller, { step: id, state: 'submitted' });
  }

  /** One act of a job; `choice` 5 is a failure. */
  #advance(step: ModelStep, choice: number): void {
    if (!['pending', 'running', 'cancelling'].includes(step.state)) return;
    if (this.#clusterOf(step.round)) step.state = 'interrupted';
    else if (step.state === 'cancelling' && (step.progress !== 'written' || choice !== 1)) step.state = 'cancelled';
    else if (step.state === 'pending') step.state = 'running';
    else if (choice === 5) step.state = 'failed';
    else if (step.progress === 'begun') this.#claim(step);
    else if (step.progress === 'claimed') step.progress = 'written';
    else step.state = 'completed';
  }

  #claim(step: ModelStep): void {
    if (this.rules.tokens && this.#tokens.has(step.round)) {
      // A duplicate ends, well or not; of one submission that made two steps it must not end well.
      step.state = !this.rules.doubles && this.#choose(2) === 1 ? 'completed' : 'failed';
      return;
    }
    if (this.rules.tokens) this.#tokens.set(step.round, step.submission);
    step.progress = 'claimed';
  }
}
