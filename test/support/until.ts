/** Polls until `condition` holds; fails naming what was waited for when the deadline passes. */
export async function until(what: string, condition: () => boolean | Promise<boolean>, deadlineMs = 30_000, everyMs = 25): Promise<void> {
  const deadline = Date.now() + deadlineMs;
  while (!(await condition())) {
    if (Date.now() > deadline) throw new Error(`waited ${deadlineMs / 1000} s for: ${what}`);
    await new Promise((resolve) => setTimeout(resolve, everyMs));
  }
}
