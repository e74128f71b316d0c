/** The checksum of a view, COUNT-A-B: the number of records, and sums of their timestamps and of the cubes of these. */

const [A, B] = [67108859, 67108837]; // primes below 2^26, for products to be exact

export const EMPTY = '0-0-0';

/** A checksum after versions are replaced: the entries of some records before and after that. */
export function updated(checksum, before, after) {
  const sums = checksum.split('-').map(Number);
  const count = (entries, sign) => {
    for (const { server, timestamp } of entries) {
      if (!server) continue;
      const rest = timestamp % B;
      sums[0] += sign;
      sums[1] += sign * (timestamp % A);
      sums[2] += sign * ((((rest * rest) % B) * rest) % B);
    }
  };
  count(before, -1);
  count(after, 1);
  const modulo = (sum, prime) => ((sum % prime) + prime) % prime;
  return [sums[0], modulo(sums[1], A), modulo(sums[2], B)].join('-');
}
