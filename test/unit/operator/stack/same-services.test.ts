import { requireSameServices } from '../../../../operator/stack/same-services';
import type { StackState } from '../../../../operator/stack/stack-state';
import { readConfig } from '../../../../lib/config';

const supervisor = { pid: 1, startTicks: '1', bootId: 'b' };
const embedded: StackState = { supervisor, phase: 'up', processes: [], databaseUrl: 'postgres://own', temporalAddress: '127.0.0.1:7233' };
const external: StackState = {
  supervisor,
  phase: 'up',
  processes: [{ name: 'temporal', state: 'external', address: 'cluster:7233', restarts: 0 }],
  externalDatabase: 'postgres://u:***@db:5432/almanac',
};
const OURS = { TEMPORAL_ADDRESS: 'cluster:7233', DATABASE_URL: 'postgres://u:secret-word@db:5432/almanac' };

const check = (env: Record<string, string>, state: StackState | undefined): void => requireSameServices(readConfig(env, '/'), state);

test.each<[string, Record<string, string>, StackState | undefined]>([
  ['its own servers', {}, embedded],
  ['the same external ones', OURS, external],
  ['the same under a new password', { ...OURS, DATABASE_URL: OURS.DATABASE_URL.replace('secret-word', 'newer') }, external],
  ['nothing written yet', OURS, undefined],
])('a stack with %s is the one that was asked for', (_what, env, state) => {
  expect(() => check(env, state)).not.toThrow();
});

test.each<[Record<string, string>, StackState, string, string]>([
  [
    { TEMPORAL_ADDRESS: 'cluster:7233' },
    embedded,
    'a server of its own, and TEMPORAL_ADDRESS names cluster:7233',
    'unset TEMPORAL_ADDRESS',
  ],
  [{ DATABASE_URL: OURS.DATABASE_URL }, embedded, 'a server of its own, and DATABASE_URL names', 'unset DATABASE_URL'],
  [{ ...OURS, TEMPORAL_ADDRESS: 'other:7233' }, external, 'cluster:7233, and TEMPORAL_ADDRESS names other:7233', 'set TEMPORAL_ADDRESS'],
  [{ ...OURS, DATABASE_URL: 'postgres://u:secret-word@db:5432/other' }, external, 'and DATABASE_URL names', 'set DATABASE_URL'],
  [{}, external, 'cluster:7233, and TEMPORAL_ADDRESS is not set', 'set TEMPORAL_ADDRESS'],
])('other services than those it runs with are refused by name', (env, state, message, next) => {
  const refusal = expect.objectContaining({
    code: 'stack.other-services',
    message: expect.stringContaining(message),
    next: expect.stringMatching(new RegExp(`^${next}.*almanac down && almanac up --detach`)),
  });
  expect(() => check(env, state)).toThrow(refusal);
  expect(() => check(env, state)).toThrow(expect.objectContaining({ message: expect.not.stringContaining('secret-word') }));
});
