import { command, defineProject, webhook, type Hooks } from '../../../pipelines/define';
import { NOTICE_KINDS, noticeMessage, type Notice } from '../../../pipelines/notify';

const notice = (kind: Notice['kind'], detail: Notice['detail'] = {}): Notice => ({
  ...{ id: 7, kind, at: '2026-11-20T03:00:00.000Z', pipeline: 'plays', window: '2026-11-19', branch: 'main', generation: 1, detail },
});

test.each<[string, Hooks, string]>([
  ['no address', { ops: webhook({}) }, 'notify.ops: needs exactly one of url and urlFrom'],
  ['two addresses', { ops: webhook({ url: 'http://127.0.0.1', urlFrom: 'A' }) }, 'notify.ops: needs exactly one of url and urlFrom'],
  ['a scheme nobody posts to', { ops: webhook({ url: 'ftp://127.0.0.1' }) }, 'notify.ops.url: is no http or https address'],
  ['credentials in the address', { ops: webhook({ url: 'https://me:secret@127.0.0.1' }) }, 'notify.ops.url: holds credentials'],
  ['a secret where its variable belongs', { ops: webhook({ urlFrom: 'https://hooks/T0/secret' }) }, 'notify.ops.urlFrom: is not the name'],
  [
    'a secret in a header',
    { ops: webhook({ url: 'http://127.0.0.1', headersFrom: { authorization: 'Bearer secret' } }) },
    'notify.ops.headersFrom.authorization: is not the name',
  ],
  ['a variable of Almanac', { ops: webhook({ urlFrom: 'ALMANAC_HOOK' }) }, 'ALMANAC_HOOK is a name that Almanac keeps'],
  ['a kind there is not', { ops: command({ run: ['true'], on: ['held' as 'hold'] }) }, 'notify.ops.on: "held" is none of hold'],
  ['a pipeline there is not', { ops: command({ run: ['true'], pipelines: ['other'] }) }, 'no pipeline "other"'],
  ['no program', { ops: command({ run: [] }) }, 'notify.ops.run: names no program'],
  ['a name that is none', { 'Ops!': command({ run: ['true'] }) }, '"Ops!" does not match'],
])('a hook with %s is refused, its secret unsaid', (_, notify, message) => {
  const declare = (): unknown => defineProject({ pipelines: [], notify });
  expect(declare).toThrow(expect.objectContaining({ code: 'pipeline.invalid', message: expect.stringContaining(message) as string }));
  expect(declare).not.toThrow(/secret@|T0|Bearer/);
});

test('hooks that work are kept', () => {
  const notify = { ops: webhook({ urlFrom: 'OPS_URL', on: ['hold'] }), page: command({ run: ['./page.sh'] }) };
  expect(defineProject({ pipelines: [], notify }).notify).toEqual(notify);
});

test('each kind says in one line what happened, and the next command', () => {
  const failure = { build: { code: 'engine.sql', message: 'no column n' } };
  expect(noticeMessage(notice('hold', { failure }))).toMatchObject({
    text: 'plays/2026-11-19 is held: build (engine.sql): no column n',
    next: 'almanac why plays/2026-11-19',
  });
  for (const kind of NOTICE_KINDS) {
    const { text, next } = noticeMessage(notice(kind, { state: 'lost', hash: 'abcdef1234567890', slot: 's', due: 'd', reason: 'r' }));
    expect(text).toMatch(/^[^\n]{10,}$/);
    expect(text).not.toContain('undefined');
    expect(next).toMatch(/^almanac /);
  }
});

test('a run of a branch is named as people type it', () => {
  expect(noticeMessage({ ...notice('recovery'), branch: 'fix' }).text).toContain('plays/2026-11-19~fix');
});
