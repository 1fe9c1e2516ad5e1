/** The value of an option that counts something. Throws where it is no whole number from 1. */
export function wholeNumber(option: string, text: string): number {
  const number = Number(text);
  if (!Number.isSafeInteger(number) || number < 1) throw new Error(`${option} ${text}: expected a whole number from 1`);
  return number;
}
