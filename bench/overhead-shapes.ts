/** One form of work that both arms do. */
export interface Shape {
  /** Pipeline of the generated project. */
  readonly pipeline: 'chain' | 'fan-out' | 'windows';
  /** Stages of one run: one after the other, or all at once. */
  readonly stages: number;
  readonly wide: boolean;
  /** Runs started together. */
  readonly runs: number;
}

export const SHAPES: readonly Shape[] = [
  { pipeline: 'chain', stages: 40, wide: false, runs: 1 },
  { pipeline: 'fan-out', stages: 100, wide: true, runs: 1 },
  { pipeline: 'windows', stages: 4, wide: false, runs: 50 },
];

/** What a person calls it. */
export function shapeName({ pipeline, stages, runs }: Shape): string {
  return pipeline === 'windows' ? `${runs} windows x ${stages}` : `${pipeline} of ${stages}`;
}

/**
 * The config file of a project with one pipeline a shape; its stages are join points that compute nothing. With everything on, the windows
 * take permits of a pool, schedules fire beside them, and a hook is told.
 */
export function projectText(shapes: readonly Shape[], everything = false): string {
  const ticks = everything ? Array.from({ length: TICKS }, (_, index) => tickText(index)) : [];
  const more = everything ? `\n  notify: { told: command({ run: ['true'] }) },\n  pools: { shared: 100 },` : '';
  return `import { command, compute, daily, definePipeline, defineProject, everyMinutes } from 'almanac';

export default defineProject({
  pipelines: [
${[...shapes.map((shape) => pipelineText(shape, everything)), ...ticks].join('\n')}
  ],${more}
});
`;
}

/** Pipelines that a schedule starts every minute beside the work that is measured. */
const TICKS = 5;

function tickText(index: number): string {
  return `    definePipeline({
      id: 'tick${index}', owner: 'bench', window: everyMinutes(1), chain: 'independent', datasets: {},
      schedule: { cron: '* * * * *', timezone: 'UTC', gap: 'shift', fold: 'first', catchUp: 'all', overlap: 'queue' },
      stages: { only: compute({ engine: 'none' }) },
    }),`;
}

function pipelineText({ pipeline, stages, wide }: Shape, everything: boolean): string {
  const pool = everything && pipeline === 'windows' ? `, pool: { name: 'shared' }` : '';
  const lines = Array.from({ length: stages }, (_, stage) => {
    const needs = wide || stage === 0 ? '' : `, needs: ['s${stage - 1}']`;
    return `        s${stage}: compute({ engine: 'none'${needs}${pool} }),`;
  });
  return `    definePipeline({
      id: '${pipeline}', owner: 'bench', window: daily(), chain: 'independent', datasets: {},
      stages: {
${lines.join('\n')}
      },
    }),`;
}
