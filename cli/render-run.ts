import type { AttemptRow } from '../activities/ledger/attempts';
import type { RunRow } from '../activities/ledger/runs';
import type { RunGrid } from '../operator/runs/grid';
import type { RunListing, RunView, StepView } from '../operator/runs/inspect';
import { ENGINE_TITLES } from '../pipelines/engine-choice';
import { formatRun } from '../pipelines/run-id';
import type { Sensed } from '../pipelines/sensed';
import type { PermitWait } from '../pipelines/why';
import { renderBytes, renderSeconds, renderTable } from './render';

/** How a run that ended or holds is told in a few lines. */
export function renderSettledRun(row: RunRow): string {
  const name = formatRun(row.run);
  const end = row.endedAt ?? row.changedAt;
  const lines = [
    `${name} generation ${row.run.generation}: ${row.state} after ${renderSeconds((Date.parse(end) - Date.parse(row.claimedAt)) / 1000)}`,
  ];
  for (const [stage, failure] of Object.entries(row.failure ?? {})) {
    lines.push(`  stage ${stage} failed with ${failure.code}: ${failure.message}`, `  next: ${failure.next}`);
  }
  return lines.join('\n');
}

export function renderRuns(rows: readonly RunListing[]): string {
  if (rows.length === 0) return 'no run is listed; almanac run PIPELINE --window KEY starts one';
  return renderTable(rows, [
    { title: 'RUN', value: ({ run }) => formatRun(run) },
    { title: 'GEN', value: ({ run }) => run.generation, align: 'right' },
    { title: 'STATE', value: ({ state }) => state },
    { title: 'CHANGED', value: ({ changedAt }) => changedAt },
    {
      title: 'WHAT',
      value: ({ failure, origin, tainted, stale }) =>
        [
          ...Object.entries(failure ?? {}).map(([stage, { code }]) => `${stage}: ${code}`),
          ...(origin ? ['origin'] : []),
          ...(tainted ? ['tainted'] : []),
          ...(stale ? ['stale'] : []),
        ].join(', '),
    },
  ]);
}

export function renderGrid({ pipeline, stages, windows }: RunGrid): string {
  if (windows.length === 0) return `no window of ${pipeline} ran; almanac run ${pipeline} --window KEY starts one`;
  return renderTable(windows, [
    { title: 'WINDOW', value: ({ window }) => window },
    { title: 'GEN', value: ({ generation }) => generation, align: 'right' },
    { title: 'STATE', value: ({ state }) => state },
    ...stages.map((stage) => ({ title: stage.toUpperCase(), value: (row: RunGrid['windows'][number]) => row.stages[stage] ?? '-' })),
  ]);
}

export function renderRun(view: RunView): string {
  const { row, plan, attempts } = view;
  const stages = plan.stages.map(({ id, kind }) => ({
    ...{ id, kind, last: attempts.filter(({ stage }) => stage === id).at(-1) },
    line: view.permits.find(({ stage }) => stage === id),
  }));
  const table = renderTable(stages, [
    { title: 'STAGE', value: ({ id }) => id },
    { title: 'KIND', value: ({ kind }) => kind },
    { title: 'STATE', value: ({ last, line }) => (line === undefined ? (last?.state ?? '-') : 'waiting') },
    { title: 'ATTEMPT', value: ({ last }) => last?.attempt, align: 'right' },
    {
      title: 'SECONDS',
      value: ({ last }) =>
        last?.endedAt == null ? undefined : ((Date.parse(last.endedAt) - Date.parse(last.startedAt)) / 1000).toFixed(2),
      align: 'right',
    },
    { title: 'ROWS IN', value: ({ last }) => last?.output?.rowsIn, align: 'right' },
    { title: 'ROWS OUT', value: ({ last }) => last?.output?.rowsOut, align: 'right' },
    { title: 'BYTES OUT', value: ({ last }) => (last?.output == null ? undefined : renderBytes(last.output.bytesOut)), align: 'right' },
    {
      title: 'WHAT',
      value: ({ last, line }) =>
        lineText(line) ??
        waitText(last) ??
        last?.failure?.code ??
        quarantineText(last) ??
        sensedText(last?.output?.sensed) ??
        last?.output?.gate?.status ??
        (last?.output?.engine === undefined ? undefined : `on ${ENGINE_TITLES[last.output.engine]}`) ??
        (last?.output?.publication === undefined ? undefined : `publication ${last.output.publication}`),
    },
  ]);
  const head = `${formatRun(row.run)} generation ${row.run.generation}: ${row.state}${row.origin ? ', origin of its chain' : ''}${row.bootstrap ? ', bootstrapped' : ''}${view.tainted ? ', tainted' : ''}${view.stale === null ? '' : ', stale'}`;
  const verbs = view.actions.map(
    ({ at, who, verb, stage, reason, state }) =>
      `  ${at} ${who}: ${verb}${stage === null ? '' : ` ${stage}`}${reason === null ? '' : ` (${reason})`}${VERB_STATES[state]}`,
  );
  const pins = Object.values(row.pins).map(({ dataset, window, version, digest }) => `  ${dataset}@${window}#${version} ${digest}`);
  const sensed = stages.flatMap(({ id, last }) => renderSensed(id, last?.output?.sensed ?? []));
  return [
    head,
    `plan ${plan.hash.slice(0, 12)}${plan.engine === undefined ? '' : ` on ${ENGINE_TITLES[plan.engine]}`}, claimed ${row.claimedAt}, ended ${row.endedAt ?? '-'}`,
    '',
    table,
    ...(view.steps.length === 0 ? [] : ['', ...renderSteps(view.steps)]),
    ...(pins.length === 0 ? [] : ['', row.pinsTainted ? 'pinned, of a tainted window:' : 'pinned:', ...pins]),
    ...(sensed.length === 0 ? [] : ['', 'sensed:', ...sensed]),
    ...(verbs.length === 0 ? [] : ['', 'verbs:', ...verbs]),
    '',
    `waits for ${view.why.waitsFor} (since ${view.why.since})`,
    ...(view.why.next === null ? [] : [`next: ${view.why.next}`]),
  ].join('\n');
}

/** Jobs on EMR, and what they came to. */
function renderSteps(steps: readonly StepView[]): string[] {
  const costs = steps.map(({ cost }) => cost).filter((cost) => cost !== null);
  const seconds = steps.reduce((sum, step) => sum + (step.seconds ?? 0), 0);
  const sum = `${seconds.toFixed(1)} s${costs.length === 0 ? '' : `, about ${costs.reduce((all, cost) => all + cost, 0).toFixed(2)} by the prices in the settings`}`;
  return [`on EMR: ${sum}`, ...steps.map((step) => `  ${stepLine(step)}`)];
}

function stepLine({ stage, round, state, cluster, step, seconds, cost, reason }: StepView): string {
  const place = cluster === null ? 'not submitted' : `${step ?? 'submission not known'} on ${cluster}`;
  const spent = `${seconds === null ? '' : `, ${seconds.toFixed(1)} s`}${cost === null ? '' : `, about ${cost.toFixed(4)}`}`;
  return `${stage}${round === 1 ? '' : ` round ${round}`}: ${state}, ${place}${spent}${reason === null ? '' : `: ${reason.split('\n', 1)[0]}`}`;
}

/** As many as one looks at; `--json` has them all. */
const SHOWN_SENSED = 10;

/** What a sense stage found, by line: the accepted set, publication or folder that held. */
function renderSensed(stage: string, sensed: readonly Sensed[]): string[] {
  const lines = sensed.slice(0, SHOWN_SENSED).map((found) => {
    switch (found.kind) {
      case 'accepted':
        return `  ${stage}: ${found.pipeline}/${found.window} accepted as ${found.sequence}${found.versions.map(({ dataset, version }) => `, ${dataset}#${version}`).join('')}`;
      case 'published':
        return `  ${stage}: ${found.pipeline}/${found.window} published as ${found.publication}`;
      case 'marker':
        return `  ${stage}: ${found.folder} with ${found.files.join(', ')} of ${found.newest}`;
      case 'quiet':
        return `  ${stage}: ${found.folder} quiet since ${found.newest}, ${found.count} files of ${renderBytes(found.bytes)}`;
    }
  });
  return sensed.length > SHOWN_SENSED ? [...lines, `  ${stage}: and ${sensed.length - SHOWN_SENSED} more`] : lines;
}

function sensedText(sensed: readonly Sensed[] | undefined): string | undefined {
  if (sensed === undefined) return undefined;
  return sensed.length === 1 ? `sensed ${sensed[0]?.kind}` : `sensed ${sensed.length}`;
}

const VERB_STATES = {
  intended: ': not known to have been taken',
  done: '',
  refused: ': the run did not take it',
} as const satisfies Record<RunView['actions'][number]['state'], string>;

/** What an ingest put aside; it did not fail, and nobody should overlook it. */
function quarantineText(attempt: AttemptRow | undefined): string | undefined {
  const rows = Object.values(attempt?.output?.quarantined ?? {}).reduce((sum, count) => sum + count, 0);
  return rows === 0 ? undefined : `${rows} of ${attempt?.output?.rowsIn ?? 0} rows in quarantine`;
}

function lineText(line: PermitWait | undefined): string | undefined {
  if (line === undefined) return undefined;
  if (line.placeSince !== null) return `pool ${line.pool}: its turn came ${line.placeSince}, it waits for a place`;
  return `pool ${line.pool}: position ${line.position} of ${line.of} since ${line.since}`;
}

function waitText(attempt: AttemptRow | undefined): string | undefined {
  if (attempt?.state !== 'waiting') return undefined;
  return `${attempt.failure?.code ?? 'its data'} since ${attempt.waitingSince ?? attempt.startedAt} until ${attempt.waitsUntil ?? '-'}, looked ${attempt.polls}×`;
}
