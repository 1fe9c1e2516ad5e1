import type { CliStreams } from './io';

/** Commands in our words begin with the program's name; where it was called through npm, the next one has to be as well. */
const NEXT_STEP = /^.*\bnext: .*$/gm;
const COMMAND = /(?<![\w./-])(?<!npx )almanac (?=[a-z])/g;

/** Streams for people: next steps on them are written as they can be typed here. */
export function asInvoked(streams: CliStreams, environment: NodeJS.ProcessEnv): CliStreams {
  if (environment['npm_command'] === undefined) return streams;
  const write = (to: CliStreams['stdout']) => ({
    write: (text: string): unknown => to.write(text.replace(NEXT_STEP, (line) => line.replace(COMMAND, 'npx almanac '))),
  });
  return { stdout: write(streams.stdout), stderr: write(streams.stderr) };
}
