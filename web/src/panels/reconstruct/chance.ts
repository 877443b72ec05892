/**
 * Chance that is the same on every machine: which patches are hidden, in what order tokens stand, noise on a latent. Made
 * by sfc32 (Doty-Humphrey's PractRand), 32 bits at a time, from a seed of the page's.
 */

/** What a seed is used for: one seed gives different numbers for each. */
export const PURPOSE = { mask: 1, order: 2, noise: 3 } as const;

/** Discarded at first, until all bits of the seed have reached all bits of the state. */
const WARM_UP = 16;

/** Numbers from 0 up to 1. `seed`: digits. */
export function chance(seed: string, purpose: number): () => number {
  const value = BigInt(seed);
  let [a, b, c, counter] = [Number(value & 0xffffffffn) | 0, Number((value >> 32n) & 0xffffffffn) | 0, purpose, 1];
  const next = () => {
    const sum = (((a + b) | 0) + counter) | 0;
    counter = (counter + 1) | 0;
    a = b ^ (b >>> 9);
    b = (c + (c << 3)) | 0;
    c = ((c << 21) | (c >>> 11)) + sum;
    return (sum >>> 0) / 2 ** 32;
  };
  for (let i = 0; i < WARM_UP; i++) next();
  return next;
}

/** Numbers of mean 0 and standard deviation 1, by the method of Box and Muller. */
export function normals(next: () => number, count: number): Float64Array {
  const made = new Float64Array(count + 1);
  for (let i = 0; i < count; i += 2) {
    const radius = Math.sqrt(-2 * Math.log(1 - next()));
    const angle = 2 * Math.PI * next();
    made[i] = radius * Math.cos(angle);
    made[i + 1] = radius * Math.sin(angle);
  }
  return made.subarray(0, count);
}

/** The numbers from 0 to `count - 1` in an order of chance (Fisher and Yates). */
export function permutation(next: () => number, count: number): number[] {
  const order = Array.from({ length: count }, (_, i) => i);
  for (let i = count - 1; i > 0; i--) {
    const j = Math.floor(next() * (i + 1));
    [order[i], order[j]] = [order[j]!, order[i]!];
  }
  return order;
}
