import { createServer } from 'node:net';

/** True when nothing listens on that loopback port. */
function isPortFree(port: number): Promise<boolean> {
  return new Promise((resolve) => {
    const server = createServer();
    server.once('error', () => resolve(false));
    server.listen({ port, host: '127.0.0.1', exclusive: true }, () => server.close(() => resolve(true)));
  });
}

/** A loopback port that was free a moment ago. */
export function freePort(): Promise<number> {
  return new Promise((resolve, reject) => {
    const server = createServer();
    server.once('error', reject);
    server.listen(0, '127.0.0.1', () => {
      const address = server.address();
      server.close(() => resolve(typeof address === 'object' && address ? address.port : 0));
    });
  });
}

/**
 * A port for every name: the one remembered, else the usual one, else any; always one that is free, that `reserve` grants and that
 * is not given to another name. `usual` is in order of preference.
 */
export async function choosePorts<Name extends string>(
  usual: Readonly<Record<Name, number>>,
  remembered: Readonly<Partial<Record<Name, number>>>,
  reserve: (port: number) => boolean = () => true,
): Promise<Record<Name, number>> {
  const chosen = new Map<Name, number>();
  const taken = (port: number): boolean => [...chosen.values()].includes(port);
  for (const name of Object.keys(usual) as Name[]) {
    const wanted = [remembered[name], usual[name]].filter((port) => port !== undefined);
    let port: number | undefined;
    for (const candidate of wanted) {
      if (!taken(candidate) && (await isPortFree(candidate)) && reserve(candidate)) {
        port = candidate;
        break;
      }
    }
    while (port === undefined) {
      const candidate = await freePort();
      if (!taken(candidate) && reserve(candidate)) port = candidate;
    }
    chosen.set(name, port);
  }
  return Object.fromEntries(chosen) as Record<Name, number>;
}
