import type { DemoStage } from '../operator/demo-steps';
import { renderTable } from './render';

/** A table below the line of a window; nothing where no engine was named. */
export function renderDemoStages(stages: readonly DemoStage[] | undefined): string {
  if (stages === undefined) return '';
  const seconds = (value: number | null | undefined): string => (value == null ? '-' : value.toFixed(2));
  const rows = renderTable(stages, [
    { title: 'stage', value: ({ stage }) => stage, align: 'left' },
    { title: 'seconds', value: (stage) => seconds(stage.seconds), align: 'right' },
    { title: 'step on EMR', value: ({ step }) => (step === undefined ? '-' : `${step.step} on ${step.cluster}`), align: 'left' },
    { title: 'state', value: ({ step }) => step?.state ?? '-', align: 'left' },
    { title: 'submit to result', value: ({ step }) => seconds(step?.seconds), align: 'right' },
    { title: "Spark's own", value: ({ step }) => seconds(step?.sparkSeconds), align: 'right' },
    { title: 'overhead', value: ({ step }) => seconds(overhead(step)), align: 'right' },
  ]);
  return `\n${rows.replace(/^/gm, '  ')}`;
}

/** What the orchestration around Spark cost: JVM, submission, looking. */
function overhead(step: DemoStage['step']): number | null {
  return step === undefined || step.sparkSeconds === null ? null : step.seconds - step.sparkSeconds;
}
