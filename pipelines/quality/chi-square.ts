/** The chi-square distribution, and the test of counts against expected counts. */

/** Probability that a chi-square variable of `degrees` exceeds `statistic`. */
export function chiSquareUpperTail(statistic: number, degrees: number): number {
  if (!(degrees > 0) || Number.isNaN(statistic)) return Number.NaN;
  if (statistic <= 0) return 1;
  if (statistic === Infinity) return 0;
  return upperGamma(degrees / 2, statistic / 2);
}

const EPSILON = 1e-16;
const TERMS = 10_000;

/** The regularised upper incomplete gamma function Q(a, x): by the series below a + 1, by the continued fraction above. */
function upperGamma(a: number, x: number): number {
  const scale = Math.exp(-x + a * Math.log(x) - logGamma(a));
  if (x < a + 1) {
    let term = 1 / a;
    let sum = term;
    for (let n = 1; n < TERMS && Math.abs(term) > Math.abs(sum) * EPSILON; n++) {
      term *= x / (a + n);
      sum += term;
    }
    return 1 - sum * scale;
  }
  // Lentz's method.
  let b = x + 1 - a;
  let c = 1 / 1e-300;
  let d = 1 / b;
  let fraction = d;
  for (let i = 1; i < TERMS; i++) {
    const numerator = -i * (i - a);
    b += 2;
    d = 1 / nonZero(numerator * d + b);
    c = nonZero(b + numerator / c);
    const step = d * c;
    fraction *= step;
    if (Math.abs(step - 1) < EPSILON) break;
  }
  return scale * fraction;
}

function nonZero(value: number): number {
  return Math.abs(value) < 1e-300 ? 1e-300 : value;
}

const LANCZOS = [
  0.99999999999980993, 676.5203681218851, -1259.1392167224028, 771.32342877765313, -176.61502916214059, 12.507343278686905,
  -0.13857109526572012, 9.9843695780195716e-6, 1.5056327351493116e-7,
];

function logGamma(x: number): number {
  if (x < 0.5) return Math.log(Math.PI / Math.sin(Math.PI * x)) - logGamma(1 - x);
  const shifted = x - 1;
  const base = shifted + 7.5;
  const sum = LANCZOS.reduce((total, coefficient, i) => total + (i === 0 ? coefficient : coefficient / (shifted + i)), 0);
  return 0.5 * Math.log(2 * Math.PI) + (shifted + 0.5) * Math.log(base) - base + Math.log(sum);
}
