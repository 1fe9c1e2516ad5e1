import fc from 'fast-check';
import { printable, renderBytes, renderCount, renderSeconds, renderTable } from '../../../cli/render';

test('columns line up and trailing blanks are cut', () => {
  const table = renderTable(
    [
      { name: 'a', rows: 5 },
      { name: 'longer', rows: 12345 },
    ],
    [
      { title: 'NAME', value: (row) => row.name },
      { title: 'ROWS', value: (row) => row.rows, align: 'right' },
    ],
  );
  expect(table).toBe('NAME     ROWS\na           5\nlonger  12345');
});

test('foreign text cannot move the cursor or break the line', () => {
  fc.assert(fc.property(fc.string({ unit: 'binary' }), (text) => expect(printable(text)).not.toMatch(/[\u0000-\u001f\u007f-\u009f]/)));
});

test.each([
  [0.239, '0.24 s'],
  [12.34, '12.3 s'],
  [59.96, '1 min 00 s'],
  [245, '4 min 05 s'],
  [7800, '2 h 10 min'],
])('%d seconds are said as %s', (seconds, text) => {
  expect(renderSeconds(seconds)).toBe(text);
});

test.each([
  [812, '812 B'],
  [1234, '1.2 kB'],
  [999_600, '1.0 MB'],
  [45e9, '45 GB'],
])('%d bytes are said as %s', (bytes, text) => {
  expect(renderBytes(bytes)).toBe(text);
});

test('one is not many', () => {
  expect([renderCount(1, 'run'), renderCount(1200, 'run')]).toEqual(['1 run', '1,200 runs']);
});
