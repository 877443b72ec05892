/** Yes or no for each of many, as hexadecimal digits for a link: four to a digit, the first in its lowest bit. */

export type Bits = Uint8Array<ArrayBuffer>;

export function parseBits(hex: string, count: number): Bits {
  return Uint8Array.from({ length: count }, (_, i) => (Number.parseInt(hex[i >> 2] ?? "0", 16) >> (i & 3)) & 1);
}

/** Without the zeros at the end, so that nothing chosen is the empty text, whatever the count. */
export function printBits(bits: Bits): string {
  const digits = Array.from({ length: Math.ceil(bits.length / 4) }, (_, i) => [0, 1, 2, 3].reduce((sum, k) => sum | ((bits[i * 4 + k] ?? 0) << k), 0).toString(16));
  return digits.join("").replace(/0+$/, "");
}

export function countBits(bits: Bits): number {
  return bits.reduce((sum, bit) => sum + bit, 0);
}

/** What differs between two. */
export function difference(a: Bits, b: Bits): Bits {
  return a.map((bit, i) => bit ^ b[i]!);
}
