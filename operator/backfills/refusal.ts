import { AlmanacError, failureInfo, type FailureInfo } from '../../pipelines/failures';

/** What refuses an act for good, undefined when it was done; throws what fails for now. */
export async function refusal(act: () => Promise<unknown>): Promise<FailureInfo | undefined> {
  try {
    await act();
    return undefined;
  } catch (error) {
    if (error instanceof AlmanacError && error.class !== 'platform') return failureInfo(error);
    throw error;
  }
}
