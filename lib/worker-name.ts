/** A worker's name, `HOST:PID`, taken apart; undefined for none. A host may hold colons itself. */
export function parseWorker(worker: string | null): { readonly host: string; readonly pid: number } | undefined {
  const at = worker?.lastIndexOf(':') ?? -1;
  return worker === null || at < 0 ? undefined : { host: worker.slice(0, at), pid: Number(worker.slice(at + 1)) };
}
