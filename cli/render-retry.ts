import type { RetryAnswer } from '../operator/runs/retry';
import { ENGINE_TITLES } from '../pipelines/engine-choice';
import { formatRun, retryCommand } from '../pipelines/run-id';
import { renderBuiltOn } from './render-stale';

function indented(line: string | undefined): string[] {
  return line === undefined ? [] : [`  ${line}`];
}

/** What a retry runs, keeps and leaves held, and why. */
export function renderRetry(answer: RetryAnswer, verb = 'retry'): string {
  const { plan, changes, unread } = answer;
  return [
    `${formatRun(answer.run)} generation ${answer.run.generation}: ${verb} with ${answer.code} code, ${answer.inputs} inputs and ${answer.matrix.params} params${paramsText(answer)}${engineText(answer)}`,
    ...changes.flatMap(({ stage, added, removed, changed }) => [
      ...added.map((path) => `  ${stage}: ${path} is new`),
      ...removed.map((path) => `  ${stage}: ${path} is gone`),
      ...changed.map((path) => `  ${stage}: ${path} changed`),
    ]),
    ...unread.map((id) => `  ${id}: its files were not read yet, so there is nothing to compare them with`),
    ...(changes.length === 0 && answer.inputs === 'latest'
      ? [unread.length === 0 ? '  inputs: unchanged' : '  other inputs: unchanged']
      : []),
    ...plan.reset.map((id) => `  runs ${id}: ${plan.reasons[id] ?? ''}`),
    ...plan.held.map((id) => `  still held: ${id}; next: ${retryCommand(answer.run, id)}`),
    ...(plan.waits.length === 0 ? [] : [`  waits for what is held: ${plan.waits.join(', ')}`]),
    ...(plan.kept.length === 0 ? [] : [`  keeps ${plan.kept.join(', ')}`]),
    ...indented(renderBuiltOn(answer.builtOn)),
    ...(answer.codeDiffers.length === 0
      ? []
      : [`  the declaration changed since (${answer.codeDiffers.join(', ')}); --code latest would use it`]),
  ].join('\n');
}

function engineText({ matrix: { engine } }: RetryAnswer): string {
  return engine === undefined ? '' : `, on ${ENGINE_TITLES[engine]}`;
}

function paramsText({ matrix }: RetryAnswer): string {
  const values = Object.entries(matrix.values).map(([name, value]) => `${name}=${String(value)}`);
  return values.length === 0 ? '' : ` (${values.join(', ')})`;
}
