/** The code Node gives its errors (`ENOENT`, `Z_BUF_ERROR`); undefined for others. Asks for no class: errors may come from another realm. */
export function codeOf(error: unknown): string | undefined {
  return typeof error === 'object' && error !== null && 'code' in error && typeof error.code === 'string' ? error.code : undefined;
}
