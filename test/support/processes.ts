import { readdirSync, readFileSync } from 'node:fs';

/** Pids of living processes whose command line or working environment names `text`. */
export function processesNaming(text: string): readonly number[] {
  return readdirSync('/proc')
    .filter((name) => /^\d+$/.test(name) && name !== String(process.pid))
    .filter((pid) => {
      try {
        const state = readFileSync(`/proc/${pid}/stat`, 'utf8').split(') ')[1]?.[0];
        return (
          state !== 'Z' &&
          (readFileSync(`/proc/${pid}/cmdline`, 'utf8').includes(text) || readFileSync(`/proc/${pid}/environ`, 'utf8').includes(text))
        );
      } catch {
        return false;
      }
    })
    .map(Number);
}
