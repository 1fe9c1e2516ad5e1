/** The SQL texts of a stage by engine: `NAME.sql` is the one text; where Spark needs another, `NAME.spark.sql` lies beside it. */
import type { EngineName, PlanStage } from './types';

const VARIANT = /\.spark\.sql$/;

/** The file that is taken on Spark in the place of `file`, where there is one. */
export function sparkVariant(file: string): string {
  return file.replace(/\.sql$/, '.spark.sql');
}

export function isSparkVariant(file: string): boolean {
  return VARIANT.test(file);
}

/** The text that a variant stands for on Spark. */
export function variedText(variant: string): string {
  return variant.replace(VARIANT, '.sql');
}

/** One text of a planned stage, stored under its hash. */
export interface EngineText {
  readonly hash: string;
  /** Below `pipelines/ID/sql/`. */
  readonly file: string;
}

/** What an engine runs of a stage. Undefined for a stage without SQL, or with `bootstrap` for one without a text of that kind. */
export function engineText(stage: PlanStage, engine: EngineName, bootstrap: boolean): EngineText | undefined {
  const { spec } = stage;
  if (spec.kind !== 'compute') return undefined;
  const file = bootstrap ? spec.bootstrap : spec.sql;
  if (file === undefined) return undefined;
  const variant = engine === 'spark' ? (bootstrap ? stage.sparkBootstrapHash : stage.sparkHash) : undefined;
  if (variant !== undefined) return { hash: variant, file: sparkVariant(file) };
  const hash = bootstrap ? stage.bootstrapHash : stage.sqlHash;
  return hash === undefined ? undefined : { hash, file };
}

/** Every text a planned stage may run, on any engine. */
export function textsOfStage(stage: PlanStage): EngineText[] {
  const texts = (['duckdb', 'spark'] as const).flatMap((engine) =>
    [false, true].flatMap((bootstrap) => engineText(stage, engine, bootstrap) ?? []),
  );
  return [...new Map(texts.map((text) => [text.file, text])).values()];
}
