import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { commitKills } from '../../support/commit-kills';

let home: string;
beforeEach(() => {
  home = mkdtempSync(path.join(tmpdir(), 'almanac-kills-'));
});
afterEach(() => rmSync(home, { recursive: true }));

commitKills(() => ({ home, data: path.join(home, 'data') }));
