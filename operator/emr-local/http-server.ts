import { randomUUID } from 'node:crypto';
import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http';
import type { Clock } from '../../lib/clock';
import { AwsError, throttled } from './aws-error';
import type { ControlPlane } from './control-plane';
import { meet, NO_FAULTS, parseFault, refusalOf, type Fault, type Faults } from './faults';
import { isOperation, type Operation } from './requests';
import { verifySignature, type Credential } from './signature';
import { draw, type Bucket, type Rate } from './throttle';

export interface HttpOptions {
  readonly plane: ControlPlane;
  readonly credentials: readonly Credential[];
  readonly region: string;
  readonly clock: Clock;
  /** Of each operation; undefined lets everything through. */
  readonly throttle?: Rate;
  /** Whether faults may be ordered at `/faults`. */
  readonly faults: boolean;
  /** Hears what should not happen. */
  readonly tell: (line: string) => void;
}

const BODY_LIMIT = 8 * 1024 * 1024;
const TARGET = /^ElasticMapReduce\.(\w+)$/;

/** AWS JSON 1.1 over HTTP. */
export function createHttpServer(options: HttpOptions): Server {
  const handler = new Handler(options);
  return createServer((request, response) => void handler.serve(request, response));
}

class Handler {
  readonly #options: HttpOptions;
  readonly #buckets = new Map<Operation, Bucket>();
  #faults: Faults = NO_FAULTS;

  constructor(options: HttpOptions) {
    this.#options = options;
  }

  async serve(request: IncomingMessage, response: ServerResponse): Promise<void> {
    try {
      const body = await readBody(request);
      if (this.#options.faults && request.url === '/faults') reply(response, 200, this.#control(request, body));
      else await this.#operate(request, body, response);
    } catch (error) {
      if (error instanceof AwsError) return reply(response, error.status, error.body);
      // The client went away; there is nobody to tell.
      if (request.destroyed && !request.complete) return;
      this.#options.tell(`a request failed: ${error instanceof Error ? (error.stack ?? error.message) : String(error)}`);
      reply(response, 500, new AwsError('InternalServerException', 'An internal failure occurred').body);
    }
  }

  async #operate(request: IncomingMessage, body: Buffer, response: ServerResponse): Promise<void> {
    const { plane, credentials, region, clock } = this.#options;
    const target = request.headers['x-amz-target'];
    const operation = TARGET.exec(typeof target === 'string' ? target : '')?.[1] ?? '';
    const signed = { method: request.method ?? '', path: request.url ?? '', headers: plainHeaders(request), body };
    await verifySignature(signed, { credentials, region, now: clock.now().getTime() });
    if (request.method !== 'POST' || request.url !== '/' || !isOperation(operation))
      throw new AwsError('UnknownOperationException', `The operation ${operation || '(none)'} is not served here`);
    this.#drawFrom(operation);
    const { faults, met } = meet(this.#faults, operation);
    this.#faults = faults;
    await pause(met, 'delay-request');
    if (has(met, 'lose-request')) return void response.destroy();
    const refusal = refusalOf(met);
    if (refusal) throw refusal;
    const answer = plane.perform(operation, parseJson(body));
    await pause(met, 'delay-response');
    if (has(met, 'lose-response')) return void response.destroy();
    reply(response, 200, answer);
  }

  #drawFrom(operation: Operation): void {
    const { throttle, clock } = this.#options;
    if (throttle === undefined) return;
    const { allowed, bucket } = draw(this.#buckets.get(operation), throttle, clock.now().getTime());
    this.#buckets.set(operation, bucket);
    if (!allowed) throw throttled();
  }

  /** `GET` tells what is pending and what befell, `POST` orders a fault, `DELETE` takes all back. */
  #control(request: IncomingMessage, body: Buffer): Faults {
    if (request.method === 'DELETE') this.#faults = NO_FAULTS;
    // A page in a browser may post to any port, but not as JSON.
    if (request.method === 'POST') {
      if (request.headers['content-type'] !== 'application/json') throw new AwsError('ValidationException', 'expected application/json');
      const order = parseFault(parseJson(body));
      if (order.fault === 'lose-cluster') this.#options.plane.loseCluster(order.cluster);
      else this.#faults = { ...this.#faults, pending: [...this.#faults.pending, order] };
    }
    return this.#faults;
  }
}

function has(met: readonly Fault[], kind: Fault['fault']): boolean {
  return met.some(({ fault }) => fault === kind);
}

async function pause(met: readonly Fault[], kind: Fault['fault']): Promise<void> {
  const milliseconds = met.find(({ fault }) => fault === kind)?.milliseconds;
  // Nothing that waits here keeps a server that is closed.
  if (milliseconds !== undefined) await new Promise((resolve) => setTimeout(resolve, milliseconds).unref());
}

async function readBody(request: IncomingMessage): Promise<Buffer> {
  const chunks: Buffer[] = [];
  let size = 0;
  for await (const chunk of request as AsyncIterable<Buffer>) {
    size += chunk.length;
    if (size > BODY_LIMIT) throw new AwsError('RequestEntityTooLargeException', 'The request is too large', 413);
    chunks.push(chunk);
  }
  return Buffer.concat(chunks);
}

/** Repeated headers joined, as they are signed. */
function plainHeaders({ headers }: IncomingMessage): Record<string, string> {
  return Object.fromEntries(
    Object.entries(headers).flatMap(([name, value]) =>
      value === undefined ? [] : [[name, Array.isArray(value) ? value.join(',') : value]],
    ),
  );
}

function parseJson(body: Buffer): unknown {
  try {
    return JSON.parse(body.toString('utf8') || '{}');
  } catch {
    throw new AwsError('SerializationException', 'The body is not JSON');
  }
}

/** Operations without an output are answered with an empty body. */
function reply(response: ServerResponse, status: number, body: unknown): void {
  if (response.destroyed) return;
  const text = body === undefined ? '' : JSON.stringify(body);
  response.writeHead(status, {
    'content-type': 'application/x-amz-json-1.1',
    'content-length': Buffer.byteLength(text),
    'x-amzn-requestid': randomUUID(),
  });
  response.end(text);
}
