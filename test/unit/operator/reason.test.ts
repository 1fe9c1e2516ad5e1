import { requireReason } from '../../../operator/reason';

test('a reason is recorded without the blanks around it', () => {
  expect(requireReason('  file replaced\n', 'retry')).toBe('file replaced');
});

test.each(['', ' ', '\t\n', '\u200b'])('a reason of %j says nothing and is refused', (reason) => {
  expect(() => requireReason(reason, 'skip')).toThrow(
    expect.objectContaining({ code: 'reason.missing', message: expect.stringMatching(/^skip /) }),
  );
});
