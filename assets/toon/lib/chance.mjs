// Everything that looks random in Toon is a function of a name: the same name gives the same draw on
// every machine, in every order, and adding a drawing changes no other.

import { createHash } from 'node:crypto';

/** First 32 bits of the SHA-256 of `text`, as an unsigned integer. */
export function hash32(text) {
  return createHash('sha256').update(text).digest().readUInt32BE(0);
}

/**
 * Whether `name` (an avatar seed or an emoji family) belongs to the one part in `parts` never trained on.
 * "toon 1" is the version of the split: models trained on different versions cannot be compared.
 */
export function isHeldOut(name, parts) {
  return hash32(`toon 1 held-out ${name}`) % parts === 0;
}

/** A stream of draws that depends on `name` alone. */
export class Draws {
  #name;
  #block = 0;
  #bytes = Buffer.alloc(0);

  constructor(name) {
    this.#name = name;
  }

  /** Uniform in [0, 1). */
  uniform() {
    if (this.#bytes.length < 4) {
      this.#bytes = createHash('sha256').update(`toon draw ${this.#name} ${this.#block++}`).digest();
    }
    const value = this.#bytes.readUInt32BE(0) / 2 ** 32;
    this.#bytes = this.#bytes.subarray(4);
    return value;
  }

  /** Uniform in [low, high). */
  between(low, high) {
    return low + (high - low) * this.uniform();
  }

  /** One element of `list`. */
  pick(list) {
    return list[Math.floor(this.uniform() * list.length)];
  }
}
