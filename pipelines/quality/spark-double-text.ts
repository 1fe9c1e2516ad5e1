/** A double in Spark SQL as DuckDB prints it: the fewest digits that tell it apart, an exponent below 1e-4 and from 1e16 on. */

/** Digits that Java shows at most. */
const DIGITS = 17;

/** `value` is an expression of type DOUBLE. Steps are bound one by one, for SQL has no names within an expression. */
export function sparkDoubleText(value: string): string {
  const bind = (of: string, name: string, body: string): string => `transform(array(${of}), ${name} -> ${body})[0]`;
  // Before Java 19 the last digit of some texts is one too many.
  const shorter = `format_string(concat('%.', cast(greatest(length(regexp_replace(substring_index(f, 'e', 1), '[.]|0+$', '')) - 2, 0) as string), 'e'), abs(x))`;
  const shortest = bind(shorter, 'g', `case when cast(g as double) = abs(x) then g else f end`);
  const digits = `regexp_replace(replace(substring_index(s, 'e', 1), '.', ''), '(?<=.)0+$', '')`;
  const whole = `concat(rpad(left(d, e + 1), e + 1, '0'), '.', case when length(d) > e + 1 then substr(d, e + 2) else '0' end)`;
  const fraction = `concat('0.', repeat('0', -e - 1), d)`;
  const scientific = `concat(left(d, 1), case when length(d) > 1 then concat('.', substr(d, 2)) else '' end, 'e', case when e < 0 then '-' else '+' end, lpad(cast(abs(e) as string), greatest(2, length(cast(abs(e) as string))), '0'))`;
  const placed = `case when e between 0 and 15 then ${whole} when e between -4 and -1 then ${fraction} else ${scientific} end`;
  const exponent = `cast(substring_index(s, 'e', -1) as int)`;
  const text = bind(shortest, 's', bind(digits, 'd', bind(exponent, 'e', placed)));
  const finite = bind(`format_string('%.${DIGITS - 1}e', abs(x))`, 'f', text);
  const signed = `concat(case when cast(x as string) like '-%' then '-' else '' end, ${finite})`;
  const named = `case when x is null then null when isnan(x) then 'nan' when x = cast('Infinity' as double) then 'inf' when x = cast('-Infinity' as double) then '-inf' else ${signed} end`;
  return bind(value, 'x', named);
}
