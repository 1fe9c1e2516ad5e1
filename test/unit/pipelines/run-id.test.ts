import { parseRun } from '../../../pipelines/parse-run';
import { formatRun } from '../../../pipelines/run-id';

test.each(['audience-index/2011-11-01', 'audience-index/2011-11-01~rebuild'])('%s reads back as it is written', (text) => {
  expect(formatRun(parseRun(text))).toBe(text);
});

test('a generation may be named', () => {
  expect(parseRun('a/2011-11-01#3')).toEqual({ pipeline: 'a', window: '2011-11-01', branch: 'main', generation: 3 });
});

test.each(['audience-index', 'a/b/c', 'a/2011-11-01#0', '', 'a/2011 11 01'])('%p does not name a run', (text) => {
  expect(() => parseRun(text)).toThrow(expect.objectContaining({ code: 'run.usage' }));
});
