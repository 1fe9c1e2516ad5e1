/** How values are written that `parseable` asks for, whatever else an engine would take for one; nothing stands around a date. */

const DAY = '[0-9]{4,5}-[0-9]{1,2}-[0-9]{1,2}';
const TIME = String.raw`([01]?[0-9]|2[0-3]):[0-5]?[0-9](:[0-5]?[0-9](\.[0-9]{1,9})?)?`;
const ZONE = '(Z|[+-](0[0-9]|1[0-4])(:[0-5][0-9])?)';

export const FORMS = {
  integer: '^ *[+-]?[0-9]+ *$',
  double: String.raw`^ *([+-]?([0-9]+\.?[0-9]*|\.[0-9]+)([eE][+-]?[0-9]+)?|[nN][aA][nN]|[+-]?[iI][nN][fF]([iI][nN][iI][tT][yY])?) *$`,
  date: `^${DAY}$`,
  timestamp: `^${DAY}([ T]${TIME}${ZONE}?)?$`,
} as const;

/** Texts within JSON, none of which holds a control character. Java's stack grows with each round of a repeated group: here with escapes only. */
export const JSON_TEXTS = String.raw`"[^"\\\x00-\x1f]*(?:\\["\\/bfnrtu][^"\\\x00-\x1f]*)*"`;

/** What readers let pass besides JSON, once its texts are out of the way: other quotes, numbers it has not, and a comma at the end. */
export const JSON_ODDITIES = String.raw`["']|(?i:nan|inf)|,\s*[\]}]`;
