import { sleep } from '@temporalio/workflow';

/** Another build whose run begins with a timer: no history of ours goes on under it. */
export async function runPipeline(): Promise<void> {
  await sleep('1 minute');
}

/** Another build’s clock, likewise. */
export async function clock(): Promise<void> {
  await sleep('1 minute');
}
