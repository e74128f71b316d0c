/** The checksum of a copy, COUNT-A-B: the number of records, and the sums of their timestamps and of their cubes. */

// Primes below 2^26, so that products are exact.
const A = 67108859;
const B = 67108837;

export const EMPTY = '0-0-0';

/** A checksum after versions are replaced: the entries of some records before and after that. */
export function updated(checksum, before, after) {
  let [count, a, b] = checksum.split('-').map(Number);
  const add = (sign, { server, timestamp }) => {
    if (!server) return;
    const rest = timestamp % B;
    count += sign;
    a += sign * (timestamp % A);
    b += sign * ((((rest * rest) % B) * rest) % B);
  };
  for (const entry of before) add(-1, entry);
  for (const entry of after) add(1, entry);
  const modulo = (sum, prime) => ((sum % prime) + prime) % prime;
  return `${count}-${modulo(a, A)}-${modulo(b, B)}`;
}
