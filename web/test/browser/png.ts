/** Just enough PNG to make test pictures and to compare pixels: 8 bits, RGB or RGBA, not interlaced. */

import { crc32, deflateSync, inflateSync } from "node:zlib";

export interface Pixels {
  width: number;
  height: number;
  /** RGB */
  rgb: Uint8Array;
}

const SIGNATURE = Buffer.from([137, 80, 78, 71, 13, 10, 26, 10]);

export function encode({ width, height, rgb }: Pixels): Buffer {
  return encodeChannels(width, height, 3, rgb);
}

/** With 4 channels, an RGBA picture. */
export function encodeChannels(width: number, height: number, channels: 3 | 4, bytes: Uint8Array): Buffer {
  const header = Buffer.alloc(13);
  header.writeUInt32BE(width, 0);
  header.writeUInt32BE(height, 4);
  header.set([8, channels === 3 ? 2 : 6, 0, 0, 0], 8);
  const stride = width * channels;
  const rows = Buffer.alloc((stride + 1) * height);
  for (let y = 0; y < height; y++) rows.set(bytes.subarray(y * stride, (y + 1) * stride), y * (stride + 1) + 1);
  return Buffer.concat([SIGNATURE, chunk("IHDR", header), chunk("IDAT", deflateSync(rows)), chunk("IEND", Buffer.alloc(0))]);
}

/** The file with a text under the page's keyword before its pixels, as the page itself puts it there. */
export function withText(file: Buffer, text: string): Buffer {
  // After the header's 33 bytes. Keyword, not compressed, no language, no translated keyword.
  const body = Buffer.concat([Buffer.from("maetok\0\0\0\0\0", "latin1"), Buffer.from(text)]);
  return Buffer.concat([file.subarray(0, 33), chunk("iTXt", body), file.subarray(33)]);
}

function chunk(type: string, data: Buffer): Buffer {
  const body = Buffer.concat([Buffer.from(type), data]);
  const framed = Buffer.alloc(body.length + 8);
  framed.writeUInt32BE(data.length, 0);
  body.copy(framed, 4);
  framed.writeUInt32BE(crc32(body) >>> 0, body.length + 4);
  return framed;
}

export function decode(file: Buffer): Pixels {
  if (!file.subarray(0, 8).equals(SIGNATURE)) throw new Error("not a PNG file");
  let width = 0;
  let height = 0;
  let channels = 0;
  const data: Buffer[] = [];
  for (let at = 8; at < file.length; ) {
    const length = file.readUInt32BE(at);
    const type = file.toString("latin1", at + 4, at + 8);
    const body = file.subarray(at + 8, at + 8 + length);
    if (type === "IHDR") {
      width = body.readUInt32BE(0);
      height = body.readUInt32BE(4);
      const [depth, colour, , , interlace] = body.subarray(8);
      channels = colour === 2 ? 3 : colour === 6 ? 4 : 0;
      if (depth !== 8 || channels === 0 || interlace !== 0) throw new Error(`a PNG of another kind: depth ${depth}, colour ${colour}`);
    } else if (type === "IDAT") data.push(body);
    at += length + 12;
  }
  const raw = inflateSync(Buffer.concat(data));
  const stride = width * channels;
  const lines = new Uint8Array(stride * height);
  for (let y = 0; y < height; y++) {
    const filter = raw[y * (stride + 1)]!;
    for (let i = 0; i < stride; i++) {
      const left = i >= channels ? lines[y * stride + i - channels]! : 0;
      const up = y > 0 ? lines[(y - 1) * stride + i]! : 0;
      const corner = y > 0 && i >= channels ? lines[(y - 1) * stride + i - channels]! : 0;
      const guess = [0, left, up, (left + up) >> 1, paeth(left, up, corner)][filter]!;
      lines[y * stride + i] = raw[y * (stride + 1) + 1 + i]! + guess;
    }
  }
  const rgb = new Uint8Array(width * height * 3);
  for (let i = 0; i < width * height; i++) for (let c = 0; c < 3; c++) rgb[i * 3 + c] = lines[i * channels + c]!;
  return { width, height, rgb };
}

/** The neighbour nearest to `left + up - corner`. */
function paeth(left: number, up: number, corner: number): number {
  const guess = left + up - corner;
  const [a, b, c] = [Math.abs(guess - left), Math.abs(guess - up), Math.abs(guess - corner)];
  return a <= b && a <= c ? left : b <= c ? up : corner;
}

/** A picture of a given size whose pixels are all different enough to notice a mistake. */
export function pattern(width: number, height: number): Buffer {
  const rgb = new Uint8Array(width * height * 3);
  for (let i = 0; i < width * height; i++) rgb.set([(i * 7) % 256, (i % width) % 256, Math.floor(i / width) % 256], i * 3);
  return encode({ width, height, rgb });
}

/** Largest difference of two pictures in any channel of any pixel, of 255. */
export function worstDifference(a: Pixels, b: Pixels): number {
  if (a.width !== b.width || a.height !== b.height) throw new Error(`sizes differ: ${a.width}×${a.height} and ${b.width}×${b.height}`);
  return a.rgb.reduce((worst, value, i) => Math.max(worst, Math.abs(value - b.rgb[i]!)), 0);
}
