/** Stands between a client and an S3 service and does to chosen requests what networks and services do. */
import { createServer, request as ask, type IncomingMessage, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { buffer } from 'node:stream/consumers';
import { setTimeout as sleep } from 'node:timers/promises';

export type Fault =
  | { readonly kind: 'latency'; readonly ms: number }
  /** The service answers with an error of its own instead of doing it. */
  | { readonly kind: 'answer'; readonly status: number; readonly code: string }
  /** The service does it, and the connection breaks before its answer. */
  | { readonly kind: 'lost-answer' }
  /** The connection breaks in the middle of the answer. */
  | { readonly kind: 'reset-body' }
  /** The answer ends early as though it were whole. */
  | { readonly kind: 'truncated-body' }
  /** One byte of the answer is another. */
  | { readonly kind: 'spoiled-body' };

/** Which requests: `GET` or `PUT`, and a part of the path with its query. */
export interface Which {
  readonly method: string;
  readonly path: string;
}

export class FaultProxy implements AsyncDisposable {
  /** It never closes a connection by itself: one that a client takes up again just then would break, and nobody asked for that. */
  readonly #server = createServer({ keepAliveTimeout: 0 }, (request, response) => {
    this.#serve(request, response).catch(() => response.destroy());
  });
  readonly #faults: { which: Which; fault: Fault; times: number }[] = [];
  /** Faults that came true. */
  struck = 0;

  private constructor(private readonly target: URL) {}

  static async before(endpoint: string): Promise<FaultProxy> {
    const proxy = new FaultProxy(new URL(endpoint));
    await new Promise<void>((resolve) => proxy.#server.listen(0, '127.0.0.1', resolve));
    return proxy;
  }

  get endpoint(): string {
    return `http://127.0.0.1:${(this.#server.address() as AddressInfo).port}`;
  }

  /** The next so many requests of this kind meet the fault. */
  inject(which: Which, fault: Fault, times = 1): void {
    this.#faults.push({ which, fault, times });
  }

  async #serve(request: IncomingMessage, response: ServerResponse): Promise<void> {
    const sent = await buffer(request);
    const fault = this.#faultOf(request);
    if (fault?.kind === 'latency') await sleep(fault.ms);
    if (fault?.kind === 'answer') {
      const body = `<?xml version="1.0" encoding="UTF-8"?><Error><Code>${fault.code}</Code><Message>said by a fault</Message></Error>`;
      response.writeHead(fault.status, { 'content-type': 'application/xml' }).end(request.method === 'HEAD' ? undefined : body);
      return;
    }
    const { status, headers, body } = await this.#forward(request, sent);
    switch (fault?.kind) {
      case 'lost-answer':
        response.destroy();
        return;
      case 'reset-body':
        response.writeHead(status, headers);
        response.write(body.subarray(0, Math.floor(body.length / 2)), () => response.destroy());
        return;
      case 'truncated-body': {
        const short = body.subarray(0, Math.floor(body.length / 2));
        response.writeHead(status, { ...headers, 'content-length': String(short.length) }).end(short);
        return;
      }
      case 'spoiled-body': {
        const spoiled = Buffer.from(body);
        spoiled[Math.floor(body.length / 2)] = (spoiled[Math.floor(body.length / 2)] ?? 0) ^ 1;
        response.writeHead(status, headers).end(spoiled);
        return;
      }
      default:
        response.writeHead(status, headers).end(body);
    }
  }

  #faultOf({ method = '', url = '' }: IncomingMessage): Fault | undefined {
    const found = this.#faults.find(({ which, times }) => times > 0 && which.method === method && url.includes(which.path));
    if (found === undefined) return undefined;
    found.times -= 1;
    this.struck += 1;
    return found.fault;
  }

  /** The host stays the one that was signed. */
  #forward(
    { method, url, headers }: IncomingMessage,
    sent: Buffer,
  ): Promise<{ status: number; headers: Record<string, string>; body: Buffer }> {
    return new Promise((resolve, reject) => {
      const { hostname, port } = this.target;
      const { 'transfer-encoding': _, ...kept } = headers;
      const asked = ask(
        { hostname, port, method, path: url, headers: { ...kept, 'content-length': String(sent.length) }, agent: false },
        (answer) => {
          const told = Object.fromEntries(Object.entries(answer.headers).map(([name, value]) => [name, String(value)]));
          delete told['transfer-encoding'];
          delete told['connection'];
          buffer(answer).then((body) => resolve({ status: answer.statusCode ?? 502, headers: told, body }), reject);
        },
      );
      asked.once('error', reject);
      asked.end(sent);
    });
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#server.closeAllConnections();
    await new Promise((resolve) => this.#server.close(resolve));
  }
}
