/** Canvases against each other, in the page: their pixels are too many to be carried out of it. */

import type { Page } from "puppeteer-core";

export interface Difference {
  /** Largest difference in any channel of any pixel, of 255. */
  most: number;
  mean: number;
}

/** How much the canvases that two selectors select differ; `#x = name` reads one that `remember` kept. */
export function difference(page: Page, a: string, b: string): Promise<Difference> {
  return page.evaluate(
    (a, b) => {
      const kept = (globalThis as unknown as { kept?: Record<string, ImageData> }).kept ?? {};
      const pixels = (name: string): ImageData => {
        if (kept[name]) return kept[name];
        const canvas = document.querySelector<HTMLCanvasElement>(name);
        if (!canvas) throw new Error(`there is no ${name}`);
        return canvas.getContext("2d")!.getImageData(0, 0, canvas.width, canvas.height);
      };
      const one = pixels(a);
      const two = pixels(b);
      if (one.width !== two.width || one.height !== two.height) throw new Error(`sizes differ: ${one.width}×${one.height} and ${two.width}×${two.height}`);
      let most = 0;
      let sum = 0;
      for (let i = 0; i < one.data.length; i++) {
        const d = Math.abs(one.data[i]! - two.data[i]!);
        sum += d;
        if (d > most) most = d;
      }
      return { most, mean: sum / one.data.length };
    },
    a,
    b,
  );
}

/** Keeps what a canvas shows under a name, for `difference`. */
export async function remember(page: Page, name: string, selector: string): Promise<void> {
  await page.evaluate(
    (name, selector) => {
      const canvas = document.querySelector<HTMLCanvasElement>(selector)!;
      const all = ((globalThis as unknown as { kept?: Record<string, ImageData> }).kept ??= {});
      all[name] = canvas.getContext("2d")!.getImageData(0, 0, canvas.width, canvas.height);
    },
    name,
    selector,
  );
}
