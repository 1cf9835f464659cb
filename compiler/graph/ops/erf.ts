/**
 * Error function to float64 accuracy: erf(x) = 2/sqrt(pi) e^(-x^2) sum_n 2^n x^(2n+1) / (2n+1)!!, a series of positive
 * terms, so nothing cancels. From 6 on, 1 - erf(x) < 2.2e-17 rounds away.
 * @see Abramowitz and Stegun 7.1.6
 */
export function erfOf(x: number): number {
  if (Number.isNaN(x)) return x;
  if (Math.abs(x) >= 6) return Math.sign(x);
  const square = 2 * x * x;
  let term = x;
  let total = x;
  for (let n = 1; Math.abs(term) > 1e-17 * Math.abs(total); n++) {
    term *= square / (2 * n + 1);
    total += term;
  }
  return (2 / Math.sqrt(Math.PI)) * Math.exp(-x * x) * total;
}
