import type pg from 'pg';
import type { Engine } from '../../activities/compute/engine';
import { checkStage } from '../../activities/quality/check-stage';
import type { StageContext } from '../../activities/stage';
import { AlmanacError } from '../../pipelines/failures';
import type { CheckDeclaration, DatasetSpec, Plan, RunRef, StageOutput, StageSpec, VersionRef } from '../../pipelines/types';
import { parseWindow } from '../../pipelines/window';
import { StageHarness } from './stage-harness';

export interface GateRequest {
  readonly checks: readonly CheckDeclaration[];
  readonly inputs: Readonly<Record<string, VersionRef>>;
  readonly outputs?: Readonly<Record<string, StageOutput>>;
  readonly run?: Partial<RunRef>;
  readonly attempt?: number;
}

/** Gates over a real engine, a real store and a real control schema. */
export class GateHarness extends StageHarness {
  /** Statements with rows the gates asked of the engine since it was last emptied. */
  readonly asked: string[] = [];
  readonly #pool: pg.Pool;

  constructor(specs: Readonly<Record<string, DatasetSpec>>, pool: pg.Pool) {
    super(specs);
    this.#pool = pool;
  }

  /** The context of one stage of a run; also for an ingest, whose quarantine a gate judges. */
  stageContext(id: string, spec: StageSpec, request: Omit<GateRequest, 'checks'>): StageContext & { readonly lines: string[] } {
    const base = this.context({ spec: {} });
    const run: RunRef = { ...base.run, ...request.run };
    const stage = { id, kind: spec.kind, needs: [], timeoutSeconds: 60, hash: id, spec };
    const plan: Plan = { ...base.plan, stages: [stage] };
    return {
      ...base,
      engine: this.#counting(),
      database: this.#pool,
      run,
      plan,
      stage,
      window: parseWindow(plan.window, run.window),
      attempt: request.attempt ?? 1,
      inputs: request.inputs,
      outputs: request.outputs ?? {},
    };
  }

  judge(request: GateRequest): Promise<StageOutput> {
    return checkStage(this.stageContext('judge', { kind: 'check', suite: { checks: request.checks } }, request));
  }

  /** The failure of a gate that must fail. */
  async failure(request: GateRequest): Promise<AlmanacError> {
    const error = await this.judge(request).then(
      (output) => new Error(`the gate did not fail: ${JSON.stringify(output.gate)}`),
      (thrown: unknown) => thrown,
    );
    if (error instanceof AlmanacError) return error;
    throw error;
  }

  #counting(): Engine {
    return {
      session: (limits, signal, body) =>
        this.engine.session(limits, signal, (session) =>
          body({
            ...session,
            rows: (sql, limit, label) => {
              this.asked.push(sql);
              return session.rows(sql, limit, label);
            },
          }),
        ),
      place: (_signal, body) => body(this.#counting()),
      close: () => this.engine.close(),
    };
  }
}
