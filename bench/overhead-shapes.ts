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

/** The config file of a project with one pipeline a shape; its stages are join points that compute nothing. */
export function projectText(shapes: readonly Shape[]): string {
  return `import { compute, daily, definePipeline, defineProject } from 'almanac';

export default defineProject({
  pipelines: [
${shapes.map(pipelineText).join('\n')}
  ],
});
`;
}

function pipelineText({ pipeline, stages, wide }: Shape): string {
  const lines = Array.from({ length: stages }, (_, stage) => {
    const needs = wide || stage === 0 ? '' : `, needs: ['s${stage - 1}']`;
    return `        s${stage}: compute({ engine: 'none'${needs} }),`;
  });
  return `    definePipeline({
      id: '${pipeline}', owner: 'bench', window: daily(), chain: 'independent', datasets: {},
      stages: {
${lines.join('\n')}
      },
    }),`;
}
