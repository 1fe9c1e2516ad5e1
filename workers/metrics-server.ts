import { createServer, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import type { Registry } from 'prom-client';

export interface MetricsServer extends AsyncDisposable {
  /** `HOST:PORT` as bound. */
  readonly address: string;
}

/** Serves a registry at /metrics, followed by the Temporal SDK's own exposition when it is given. */
export async function serveMetrics(registry: Registry, host: string, port: number, sdkMetricsUrl?: string): Promise<MetricsServer> {
  const server: Server = createServer((request, response) => {
    if (request.url !== '/metrics') {
      response.writeHead(404).end('only /metrics is here\n');
      return;
    }
    exposition(registry, sdkMetricsUrl).then(
      (text) => response.writeHead(200, { 'content-type': registry.contentType }).end(text),
      (error: unknown) => response.writeHead(500).end(`${String(error)}\n`),
    );
  });
  await new Promise<void>((resolve, reject) => {
    server.once('error', reject);
    server.listen(port, host, resolve);
  });
  const bound = server.address() as AddressInfo;
  return {
    address: `${bound.address}:${bound.port}`,
    async [Symbol.asyncDispose]() {
      server.closeAllConnections();
      await new Promise((resolve) => server.close(resolve));
    },
  };
}

async function exposition(registry: Registry, sdkMetricsUrl: string | undefined): Promise<string> {
  const own = await registry.metrics();
  if (sdkMetricsUrl === undefined) return own;
  const response = await fetch(sdkMetricsUrl);
  return `${own}${await response.text()}`;
}
