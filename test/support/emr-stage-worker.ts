import type { ChildProcess } from 'node:child_process';
import type { StageEnd, StageOrder, StageReport, StageWord } from './emr-stage-child';
import { startSource, type SourceProcess } from './source-process';

/** How a worker ended: as it told, or killed. */
export type WorkerEnd = StageEnd | { readonly how: 'died'; readonly stderr: string };

/** A compute worker in a process of its own, which waits at each point until it may go on. */
export class StageWorker {
  readonly #source: SourceProcess = startSource('emr-stage-child.ts');
  /** Names of the points it passed. */
  readonly passed: string[] = [];
  readonly ended: Promise<WorkerEnd>;
  /** Called at each point, which it leaves only when that is done. */
  atPoint: (name: string) => Promise<void> = () => Promise.resolve();
  #told: StageEnd | undefined;

  constructor() {
    this.process.on('message', (report: StageReport) => {
      if ('end' in report) this.#told = report.end;
      if (!('passed' in report)) return;
      this.passed.push(report.passed);
      void this.atPoint(report.passed).then(() => this.#tell({ go: true }));
    });
    this.ended = this.#source.ended.then(({ stderr }) => this.#told ?? { how: 'died', stderr });
  }

  get process(): ChildProcess {
    return this.#source.process;
  }

  get isOver(): boolean {
    return this.process.exitCode !== null || this.process.signalCode !== null;
  }

  async start(order: StageOrder): Promise<void> {
    await this.#source.greeting;
    this.#tell({ order });
  }

  cancel(): void {
    this.#tell({ cancel: true });
  }

  kill(signal: NodeJS.Signals): void {
    this.process.kill(signal);
  }

  #tell(word: StageWord): void {
    if (this.process.connected) this.process.send(word, () => undefined);
  }
}
