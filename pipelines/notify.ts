/**
 * Whom a project tells of what: hooks as declared in almanac.config.ts, and what one notice says. A hook never holds a secret, only the
 * name of the environment variable that the control worker finds it in.
 */
import type { Problem } from './rules';

export const NOTICE_KINDS = ['hold', 'failure', 'recovery', 'deadline-at-risk', 'deadline-missed', 'missed-slot', 'backfill-done'] as const;
export type NoticeKind = (typeof NOTICE_KINDS)[number];

interface HookCommon {
  /** Default: all kinds. */
  readonly on?: readonly NoticeKind[];
  /** Default: all pipelines. */
  readonly pipelines?: readonly string[];
}

/** Posts the notice as JSON; any 2xx answer takes it. */
export interface WebhookSpec extends HookCommon {
  readonly type: 'webhook';
  /** Without credentials; exactly one of `url` and `urlFrom` is given. */
  readonly url?: string;
  /** The environment variable that holds the address. */
  readonly urlFrom?: string;
  /** Header → the environment variable that holds its value. */
  readonly headersFrom?: Readonly<Record<string, string>>;
}

/** Runs a program with the notice as JSON on its standard input, in the project's directory; exit code 0 takes it. */
export interface CommandSpec extends HookCommon {
  readonly type: 'command';
  /** The program and its arguments; no shell reads them. */
  readonly run: readonly string[];
}

export type HookSpec = WebhookSpec | CommandSpec;
export type Hooks = Readonly<Record<string, HookSpec>>;

/** A hook that posts to an address. */
export function webhook(spec: Omit<WebhookSpec, 'type'>): WebhookSpec {
  return { ...spec, type: 'webhook' };
}

/** A hook that runs a program. */
export function command(spec: Omit<CommandSpec, 'type'>): CommandSpec {
  return { ...spec, type: 'command' };
}

const HOOK = /^[a-z][a-z0-9-]{0,47}$/;
const VARIABLE = /^[A-Z_][A-Z0-9_]*$/;

/** Everything wrong with the hooks of a project. */
export function hookProblems(hooks: Hooks, pipelines: readonly string[]): Problem[] {
  return Object.entries(hooks).flatMap(([name, hook]) => {
    const place = `notify.${name}`;
    const problems: Problem[] = [];
    const wrong = (field: string, message: string): void => void problems.push({ place: `${place}${field}`, message });
    const variable = (field: string, value: string): void => {
      if (!VARIABLE.test(value)) wrong(field, 'is not the name of an environment variable; a secret itself does not belong here');
      else if (value.startsWith('ALMANAC_')) wrong(field, `${value} is a name that Almanac keeps for its own variables`);
    };
    if (!HOOK.test(name)) wrong('', `"${name}" does not match ${HOOK.source}`);
    for (const kind of hook.on ?? []) if (!NOTICE_KINDS.includes(kind)) wrong('.on', `"${kind}" is none of ${NOTICE_KINDS.join(', ')}`);
    for (const id of hook.pipelines ?? []) if (!pipelines.includes(id)) wrong('.pipelines', `the project has no pipeline "${id}"`);
    if (hook.type === 'command') {
      if (hook.run.length === 0 || hook.run[0] === '') wrong('.run', 'names no program');
      return problems;
    }
    if ((hook.url === undefined) === (hook.urlFrom === undefined)) wrong('', 'needs exactly one of url and urlFrom');
    if (hook.urlFrom !== undefined) variable('.urlFrom', hook.urlFrom);
    for (const [header, from] of Object.entries(hook.headersFrom ?? {})) variable(`.headersFrom.${header}`, from);
    if (hook.url !== undefined) {
      const parsed = URL.canParse(hook.url) ? new URL(hook.url) : undefined;
      if (parsed === undefined || !/^https?:$/.test(parsed.protocol)) wrong('.url', 'is no http or https address');
      else if (parsed.username !== '' || parsed.password !== '')
        wrong('.url', 'holds credentials; put it into a variable and name that in urlFrom');
    }
    return problems;
  });
}

/** A notice as the ledger has it. */
export interface Notice {
  readonly id: number;
  readonly kind: NoticeKind;
  readonly at: string;
  readonly pipeline: string;
  readonly window: string | null;
  readonly branch: string | null;
  readonly generation: number | null;
  readonly detail: Readonly<Record<string, unknown>>;
}

/** What a hook receives. `id` is the same each time one notice is sent; `text` is one line for people, `next` their next command. */
export interface NoticeMessage extends Notice {
  readonly text: string;
  readonly next: string;
}

export function noticeMessage(notice: Notice): NoticeMessage {
  const { kind, pipeline, window, branch, detail } = notice;
  const run = window === null ? pipeline : `${pipeline}/${window}${branch === null || branch === 'main' ? '' : `~${branch}`}`;
  const said = (field: string): string => (typeof detail[field] === 'string' ? detail[field] : '');
  const show = `almanac show ${run}`;
  switch (kind) {
    case 'hold':
      return { ...notice, text: `${run} is held: ${failures(detail.failure)}`, next: `almanac why ${run}` };
    case 'failure':
      return { ...notice, text: `${run} ended as ${said('state')}${withFailures(detail.failure)}`, next: show };
    case 'recovery':
      return { ...notice, text: `${run} went through after all`, next: show };
    case 'deadline-at-risk':
      return {
        ...notice,
        text: `${run} may miss its deadline ${said('due')}: ${said('reason')}${said('eta') === '' ? '' : `; expected ${said('eta')}`}`,
        next: window === null ? show : `almanac why ${run}`,
      };
    case 'deadline-missed':
      return { ...notice, text: `${run} missed its deadline ${said('due')}: ${said('reason')}`, next: `almanac why ${run}` };
    case 'missed-slot':
      return {
        ...notice,
        text: `the slot ${said('slot')} of ${pipeline} was missed: ${said('reason')}`,
        next: `almanac run ${pipeline} --window ${window ?? 'KEY'}`,
      };
    case 'backfill-done': {
      const why = said('state') === 'halted' && said('reason') !== '' ? `: ${said('reason')}` : '';
      return {
        ...notice,
        text: `the backfill ${said('hash').slice(0, 12)} of ${pipeline} is ${said('state')}${why}`,
        next: `almanac backfill show ${said('hash')}`,
      };
    }
  }
}

function withFailures(failure: unknown): string {
  const text = failures(failure);
  return text === '' ? '' : `: ${text}`;
}

/** `stage (code): message` of each failure of a run. */
function failures(failure: unknown): string {
  if (typeof failure !== 'object' || failure === null) return '';
  return Object.entries(failure as Record<string, { code?: unknown; message?: unknown } | null>)
    .map(([stage, of]) => `${stage} (${String(of?.code ?? 'unknown')}): ${String(of?.message ?? '')}`)
    .join('; ');
}
