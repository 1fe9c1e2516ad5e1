import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { createDuckDbEngine } from '../../../activities/compute/duckdb-engine';
import type { EngineSession } from '../../../activities/compute/engine';
import { measure, type Answers } from '../../../activities/quality/measure';
import { declarationProblems } from '../../../pipelines/quality/check-rules';
import { DUCKDB_TYPES } from '../../../pipelines/duckdb-sql';
import { quoteName, quoteText } from '../../../pipelines/quote-sql';
import { metricOf, suiteMetrics, type Measurement, type SuiteMetric, type SuiteScope } from '../../../pipelines/suite-sql';
import type { CheckDeclaration, ColumnType, DatasetSpec } from '../../../pipelines/types';
import { judge, type Unmeasured, type Verdict } from '../../../pipelines/verdict';

export type Cell = string | number | boolean | null;

/** A table of somebody else's test: column names, rows, and types where they are told. */
export interface Fixture {
  readonly columns: readonly string[];
  readonly rows: readonly (readonly Cell[])[];
  readonly types?: Readonly<Record<string, ColumnType>>;
}

export interface Judged {
  readonly check: CheckDeclaration;
  readonly measured: Measurement | Unmeasured;
  readonly verdict: Verdict;
}

/** Where rows lay in the fixture. */
export const POSITION = 'pk_index';

/** A real engine that measures and judges declared checks over fixtures, as a gate does. */
export class Workbench {
  readonly #scratch = mkdtempSync(path.join(tmpdir(), 'almanac-quality-'));
  readonly #engine = createDuckDbEngine({ scratch: this.#scratch, maxChildren: 1 });
  readonly #datasets: Record<string, DatasetSpec> = {};
  #release: () => void = () => undefined;
  #ended: Promise<void> = Promise.resolve();
  #session: EngineSession | undefined;

  async open(): Promise<void> {
    await new Promise<void>((opened, failed) => {
      this.#ended = this.#engine
        .session({ memoryBytes: 1e9, threads: 2 }, new AbortController().signal, (session) => {
          this.#session = session;
          opened();
          return new Promise<void>((release) => (this.#release = release));
        })
        .catch(failed);
    });
  }

  async close(): Promise<void> {
    this.#release();
    await this.#ended;
    await this.#engine.close();
    rmSync(this.#scratch, { recursive: true, force: true });
  }

  get session(): EngineSession {
    if (this.#session === undefined) throw new Error('the workbench is not open');
    return this.#session;
  }

  /** Makes the table once; `keyed` has the position of each row as a last column. */
  async load(name: string, fixture: Fixture, keyed = false): Promise<string> {
    const view = keyed ? `${name} keyed` : name;
    if (this.#datasets[view] !== undefined) return view;
    const types = Object.fromEntries(
      fixture.columns.map((column, i) => [
        column,
        fixture.types?.[column] ??
          typeOf(
            column,
            fixture.rows.map((row) => row[i] ?? null),
          ),
      ]),
    );
    const columns = { ...types, ...(keyed ? { [POSITION]: 'bigint' as const } : {}) };
    const declared = Object.entries(columns).map(([column, type]) => `${quoteName(column)} ${DUCKDB_TYPES[type]}`);
    await this.session.exec(`create or replace table ${quoteName(view)} (${declared.join(', ')})`);
    const rows = fixture.rows.map(
      (row, i) => `(${[...row.map((value) => cell(value ?? null)), ...(keyed ? [String(i)] : [])].join(', ')})`,
    );
    for (let i = 0; i < rows.length; i += 2000)
      await this.session.exec(`insert into ${quoteName(view)} values ${rows.slice(i, i + 2000).join(', ')}`);
    await this.declare(view, { columns });
    return view;
  }

  /** A table of the session, as what it is judged. */
  declare(view: string, spec: DatasetSpec): Promise<void> {
    this.#datasets[view] = spec;
    return Promise.resolve();
  }

  /** Measures and judges checks together, as one suite. */
  async judge(checks: readonly CheckDeclaration[], reference?: string): Promise<Judged[]> {
    return this.judgeBy(this.session, checks, { ...(reference === undefined ? {} : { reference }) });
  }

  /** The same by whoever answers the statements of a dialect. */
  protected async judgeBy(
    answers: Answers,
    checks: readonly CheckDeclaration[],
    more: Pick<SuiteScope, 'reference' | 'dialect'>,
  ): Promise<Judged[]> {
    for (const check of checks) {
      const problems = declarationProblems(check);
      if (problems.length > 0) throw new Refused(problems.join('; '));
    }
    const measurements = await measure(answers, this.metrics(checks), this.scope(more));
    return checks.map((check) => {
      const measured = measurements.get(metricOf(check, this.#datasets[check.dataset])?.key ?? '') ?? { reason: 'not measured' };
      const known = 'value' in measured;
      return {
        check,
        measured,
        verdict: judge(check, known ? measured.value : measured, known ? measured.rows : 0, { window: '2026-11-20', accepted: [] }),
      };
    });
  }

  protected metrics(checks: readonly CheckDeclaration[]): SuiteMetric[] {
    return suiteMetrics({ checks }, this.#datasets);
  }

  protected scope(more: Pick<SuiteScope, 'reference' | 'dialect'>): SuiteScope {
    return { datasets: this.#datasets, salt: 'cases', ...more };
  }

  /** The types of a table's columns. */
  types(view: string): Readonly<Record<string, ColumnType>> {
    return this.#datasets[view]?.columns ?? {};
  }

  rows(sql: string): Promise<Record<string, unknown>[]> {
    return this.session.rows(sql, 100_000);
  }
}

/** A declaration that cannot be judged. */
export class Refused extends Error {}

function typeOf(column: string, values: readonly Cell[]): ColumnType {
  const present = values.filter((value) => value !== null);
  if (present.length === 0) return /string/i.test(column) ? 'text' : 'double';
  if (present.every((value) => typeof value === 'boolean')) return 'boolean';
  if (present.every((value) => typeof value === 'number')) return present.every((value) => Number.isInteger(value)) ? 'bigint' : 'double';
  return 'text';
}

function cell(value: Cell): string {
  if (value === null) return 'null';
  return typeof value === 'string' ? quoteText(value) : String(value);
}
