import fc from 'fast-check';
import { parseSize } from '../../../pipelines/size';

it.each<[string, number]>([
  ['20GB', 20e9],
  ['1.5 GiB', 1.5 * 2 ** 30],
  ['512mb', 512e6],
  ['0B', 0],
  ['2TiB', 2 * 2 ** 40],
])('reads %s', (text, bytes) => {
  expect(parseSize(text)).toBe(bytes);
});

it.each(['', '20', '20G', 'GB', '-1GB', '1e3MB', '20GBs', '20 PB', ' 20GB', '99999999999TB', '1iB'])('reads no size from %j', (text) => {
  expect(parseSize(text)).toBeUndefined();
});

it('reads whole bytes as they are, whatever the unit is written like', () => {
  fc.assert(
    fc.property(fc.nat(), fc.constantFrom('', ' '), fc.mixedCase(fc.constant('kib')), (count, space, unit) => {
      expect(parseSize(`${count}${space}${unit}`)).toBe(count * 1024);
    }),
  );
});
