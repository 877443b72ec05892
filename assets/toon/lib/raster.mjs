// Pixels: drawings in, square RGB out.
//
// A drawing is { width, height, rgba } with colours multiplied by alpha, 8 bits each. All arithmetic is
// plain JavaScript numbers and the PNG encoder is JavaScript too, so neither the processor nor the
// system's zlib can change a byte of the result.

import { Resvg } from '@resvg/resvg-js';
import { encode } from 'fast-png';
import sharp from 'sharp';

/** Plain backgrounds. No white: clouds, doves and paper-white faces must stay visible. */
export const PASTELS = [
  '#b6e3f4', '#c0aede', '#d1d4f9', '#ffd5dc', '#ffdfbf',
  '#c7ebc9', '#f6eeb4', '#aadfd5', '#f3c6e4', '#d5d9e0',
].map((hex) => [1, 3, 5].map((at) => Number.parseInt(hex.slice(at, at + 2), 16)));

/** Renders SVG text `width` pixels wide. */
export function drawSvg(svg, width) {
  const image = new Resvg(svg, { fitTo: { mode: 'width', value: width }, font: { loadSystemFonts: false } }).render();
  return { width: image.width, height: image.height, rgba: image.pixels };
}

/** Decodes a PNG or WebP file. */
export async function decodeFile(file) {
  const { data, info } = await sharp(file).ensureAlpha().raw().toBuffer({ resolveWithObject: true });
  for (let i = 0; i < data.length; i += 4) {
    for (let c = i; c < i + 3; c++) data[c] = Math.round((data[c] * data[i + 3]) / 255);
  }
  return { width: info.width, height: info.height, rgba: data };
}

/** Smallest box holding every pixel that is not nearly transparent, or null for an empty drawing. */
export function visibleBox({ width, height, rgba }) {
  let [left, top, right, bottom] = [width, height, 0, 0];
  for (let y = 0; y < height; y++) {
    for (let x = 0; x < width; x++) {
      if (rgba[4 * (y * width + x) + 3] <= 8) continue;
      left = Math.min(left, x);
      right = Math.max(right, x + 1);
      top = Math.min(top, y);
      bottom = Math.max(bottom, y + 1);
    }
  }
  return right > left ? { left, top, right, bottom } : null;
}

/** Averages blocks of `factor` × `factor` pixels, then lays the result on `background`. Returns RGB bytes. */
export function shrink({ width, rgba }, factor, size, background) {
  const out = new Uint8Array(3 * size * size);
  const scale = 1 / (factor * factor);
  for (let y = 0; y < size; y++) {
    for (let x = 0; x < size; x++) {
      const sum = [0, 0, 0, 0];
      for (let v = 0; v < factor; v++) {
        const row = 4 * ((y * factor + v) * width + x * factor);
        for (let i = 0; i < 4 * factor; i++) sum[i & 3] += rgba[row + i];
      }
      const uncovered = 1 - (sum[3] * scale) / 255;
      for (let c = 0; c < 3; c++) out[3 * (y * size + x) + c] = Math.round(sum[c] * scale + background[c] * uncovered);
    }
  }
  return out;
}

/** Turns hues by `degrees`, keeping luminance: the matrix of SVG's feColorMatrix "hueRotate". */
export function hueMatrix(degrees) {
  const [cos, sin] = [Math.cos((degrees * Math.PI) / 180), Math.sin((degrees * Math.PI) / 180)];
  return [
    0.213 + cos * 0.787 - sin * 0.213, 0.715 - cos * 0.715 - sin * 0.715, 0.072 - cos * 0.072 + sin * 0.928,
    0.213 - cos * 0.213 + sin * 0.143, 0.715 + cos * 0.285 + sin * 0.14, 0.072 - cos * 0.072 - sin * 0.283,
    0.213 - cos * 0.213 - sin * 0.787, 0.715 - cos * 0.715 + sin * 0.715, 0.072 + cos * 0.928 + sin * 0.072,
  ];
}

/**
 * Places a drawing on a plain square: its visible box is centred and its longer side fills `fill` of the
 * square; then mirrored, turned by `angle` degrees and moved by `shift` (parts of the side).
 * Each output pixel is the mean of a grid of bilinear samples, dense enough for the reduction.
 */
export function place(drawing, size, { background, fill = 0.86, mirror = false, angle = 0, shift = [0, 0], hue = 0 }) {
  const { width, height, rgba } = drawing;
  const box = (drawing.box ??= visibleBox(drawing)); // the same for every variant of the drawing
  const step = Math.max(box.right - box.left, box.bottom - box.top) / (fill * size); // source pixels per output pixel
  const grid = Math.min(8, Math.max(2, Math.ceil(step)));
  const [cos, sin] = [Math.cos((angle * Math.PI) / 180), Math.sin((angle * Math.PI) / 180)];
  const [midX, midY] = [(box.left + box.right) / 2, (box.top + box.bottom) / 2];
  const turn = hueMatrix(hue);
  const out = new Uint8Array(3 * size * size);

  for (let y = 0; y < size; y++) {
    for (let x = 0; x < size; x++) {
      let [red, green, blue, alpha] = [0, 0, 0, 0];
      for (let s = 0; s < grid * grid; s++) {
        const dx = x + ((s % grid) + 0.5) / grid - size * (0.5 + shift[0]);
        const dy = y + (Math.floor(s / grid) + 0.5) / grid - size * (0.5 + shift[1]);
        const u = midX + (mirror ? -1 : 1) * (cos * dx + sin * dy) * step - 0.5;
        const v = midY + (cos * dy - sin * dx) * step - 0.5;
        const [left, top] = [Math.floor(u), Math.floor(v)];
        for (let corner = 0; corner < 4; corner++) {
          const [px, py] = [left + (corner & 1), top + (corner >> 1)];
          if (px < 0 || py < 0 || px >= width || py >= height) continue;
          const weight = (corner & 1 ? u - left : 1 - u + left) * (corner >> 1 ? v - top : 1 - v + top);
          const at = 4 * (py * width + px);
          red += weight * rgba[at];
          green += weight * rgba[at + 1];
          blue += weight * rgba[at + 2];
          alpha += weight * rgba[at + 3];
        }
      }
      const uncovered = 1 - alpha / (255 * grid * grid);
      for (let c = 0; c < 3; c++) {
        const colour = (turn[3 * c] * red + turn[3 * c + 1] * green + turn[3 * c + 2] * blue) / (grid * grid);
        // A turned colour may leave the cube; clamped to what this coverage can show.
        const seen = Math.min(255 * (1 - uncovered), Math.max(0, colour));
        out[3 * (y * size + x) + c] = Math.round(seen + background[c] * uncovered);
      }
    }
  }
  return out;
}

/** PNG bytes of square RGB pixels. */
export function png(rgb, width, height = width) {
  return encode({ width, height, data: rgb, depth: 8, channels: 3 }, { zlib: { level: 6 } });
}
