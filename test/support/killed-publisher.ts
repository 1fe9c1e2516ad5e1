import type { PublisherOrder, PublisherReport } from './publisher-child';
import { killedOrDone, startSource } from './source-process';

export interface PublisherEnd {
  /** Points it passed, in order; the last is where it died. */
  readonly passed: readonly string[];
  readonly killed: boolean;
  readonly publication: number | undefined;
}

/** Runs one publisher in a process of its own and waits until it has died or is done. */
export async function runPublisher(order: PublisherOrder): Promise<PublisherEnd> {
  const publisher = startSource('publisher-child.ts');
  const passed: string[] = [];
  let publication: number | undefined;
  publisher.process.on('message', (message: PublisherReport) => {
    if ('passed' in message) passed.push(message.passed);
    else publication = message.finished;
  });
  publisher.process.send(order);
  return { passed, killed: await killedOrDone(publisher), publication };
}
