/** Stands between a client and an S3 service and does to chosen requests what networks and services do. */
import { createServer, request as ask, type IncomingMessage, type Server, type ServerResponse } from 'node:http';
import { createServer as createSecureServer } from 'node:https';
import type { AddressInfo } from 'node:net';
import { buffer } from 'node:stream/consumers';
import { setTimeout as sleep } from 'node:timers/promises';

export type Fault =
  | { readonly kind: 'latency'; readonly ms: number }
  /** The service answers with an error of its own instead of doing it. */
  | { readonly kind: 'answer'; readonly status: number; readonly code: string }
  /** Nothing ever comes. */
  | { readonly kind: 'silence' }
  /** The service does it, and the connection breaks before its answer. */
  | { readonly kind: 'lost-answer' }
  /** The connection breaks in the middle of the answer. */
  | { readonly kind: 'reset-body' }
  /** The answer ends early as though it were whole. */
  | { readonly kind: 'truncated-body' }
  /** One byte of the answer is another. */
  | { readonly kind: 'spoiled-body' }
  /** The same of what is sent: the connection breaks within it, or it has another byte. */
  | { readonly kind: 'reset-upload' | 'spoiled-upload' }
  /** A condition that does not hold is told as though it did, as by a service that knows no conditions. */
  | { readonly kind: 'unconditional' };

/** A key and its certificate, as PKCS #12. */
export interface PfxIdentity {
  readonly pfx: Buffer;
  readonly passphrase: string;
}

/** What a client sent. */
export interface Sent {
  readonly method: string;
  /** The path with its query. */
  readonly url: string;
  readonly headers: Readonly<Record<string, string | string[] | undefined>>;
  /** Of a POST, once it came. */
  readonly body?: string;
}

/** Which requests: `GET` or `PUT`, and a part of the path with its query. */
export interface Which {
  readonly method: string;
  readonly path: string;
}

const COMPLETED =
  '<?xml version="1.0" encoding="UTF-8"?><CompleteMultipartUploadResult><ETag>"written"</ETag></CompleteMultipartUploadResult>';

export class FaultProxy implements AsyncDisposable {
  readonly #server: Server;
  readonly #faults: { which: Which; fault: Fault; times: number }[] = [];
  /** All requests, in the order they came. */
  readonly requests: Sent[] = [];
  /** Faults that came true. */
  struck = 0;

  private constructor(
    private readonly target: URL,
    private readonly identity: PfxIdentity | undefined,
  ) {
    const serve = (request: IncomingMessage, response: ServerResponse): void => {
      this.#serve(request, response).catch(() => response.destroy());
    };
    // It never closes a connection by itself: one that a client takes up again just then would break, and nobody asked for that.
    const options = { keepAliveTimeout: 0 };
    this.#server = identity === undefined ? createServer(options, serve) : createSecureServer({ ...options, ...identity }, serve);
  }

  /** With an identity its clients speak TLS, up to here. */
  static async before(endpoint: string, identity?: PfxIdentity): Promise<FaultProxy> {
    const proxy = new FaultProxy(new URL(endpoint), identity);
    await new Promise<void>((resolve) => proxy.#server.listen(0, '127.0.0.1', resolve));
    return proxy;
  }

  get endpoint(): string {
    return `${this.identity === undefined ? 'http' : 'https'}://127.0.0.1:${(this.#server.address() as AddressInfo).port}`;
  }

  /** The next so many requests of this kind meet the fault. */
  inject(which: Which, fault: Fault, times = 1): void {
    this.#faults.push({ which, fault, times });
  }

  async #serve(request: IncomingMessage, response: ServerResponse): Promise<void> {
    const { method = '', url = '' } = request;
    const told: { -readonly [Key in keyof Sent]: Sent[Key] } = { method, url, headers: request.headers };
    this.requests.push(told);
    const fault = this.#faultOf(request);
    if (fault?.kind === 'reset-upload') {
      request.once('data', () => request.socket.destroy());
      return;
    }
    const whole = await buffer(request);
    if (method === 'POST') told.body = whole.toString();
    if (fault?.kind === 'silence') return;
    const sent = fault?.kind === 'spoiled-upload' ? spoiled(whole) : whole;
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
      case 'spoiled-body':
        response.writeHead(status, headers).end(spoiled(body));
        return;
      default:
        if (fault?.kind !== 'unconditional' || status !== 412) response.writeHead(status, headers).end(body);
        else if (method === 'POST') response.writeHead(200, { 'content-type': 'application/xml' }).end(COMPLETED);
        else response.writeHead(200, { etag: '"written"' }).end();
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

function spoiled(body: Buffer): Buffer {
  const copy = Buffer.from(body);
  const middle = Math.floor(body.length / 2);
  copy[middle] = (copy[middle] ?? 0) ^ 1;
  return copy;
}
