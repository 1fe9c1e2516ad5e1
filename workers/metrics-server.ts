import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import type { Registry } from 'prom-client';
import type { ListenAddress } from '../lib/variables';
import type { SdkMetrics } from './metrics-sdk';

export interface MetricsServer extends AsyncDisposable {
  /** `HOST:PORT` as bound. */
  readonly address: string;
}

export interface MetricsSources {
  readonly registry: Registry;
  /** Brings the registry up to date before it is rendered; must neither reject nor hang. */
  readonly refresh?: (() => Promise<void>) | undefined;
  readonly sdk?: SdkMetrics | undefined;
}

/** Serves our own metrics at /metrics, followed by the Temporal SDK's. What cannot be read is left out and a gauge says so. */
export async function serveMetrics(sources: MetricsSources, { host, port }: ListenAddress): Promise<MetricsServer> {
  const server: Server = createServer((request, response) => void answer(sources, request, response));
  await new Promise<void>((resolve, reject) => {
    server.once('error', reject);
    server.listen(port, host, resolve);
  });
  const bound = server.address() as AddressInfo;
  return {
    address: `${bound.address}:${bound.port}`,
    async [Symbol.asyncDispose]() {
      const closed = new Promise((resolve) => server.close(resolve));
      server.closeAllConnections();
      await closed;
    },
  };
}

async function answer(sources: MetricsSources, request: IncomingMessage, response: ServerResponse): Promise<void> {
  const end = (status: number, type: string, text: string): void => void response.writeHead(status, { 'content-type': type }).end(text);
  if (request.url?.split('?')[0] !== '/metrics') return end(404, 'text/plain', 'only /metrics is here\n');
  if (request.method !== 'GET' && request.method !== 'HEAD') return end(405, 'text/plain', '/metrics is only read\n');
  try {
    end(200, sources.registry.contentType, await exposition(sources));
  } catch (error) {
    end(500, 'text/plain', `${String(error)}\n`);
  }
}

/** Ours are rendered once the others are read: by then the gauges that say what is missing are set. */
async function exposition({ registry, refresh, sdk }: MetricsSources): Promise<string> {
  const [sdkText = ''] = await Promise.all([sdk?.read(), refresh?.()]);
  return `${await registry.metrics()}${sdkText}`;
}
