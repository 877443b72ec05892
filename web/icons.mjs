/**
 * Draws the icons that systems want as PNG from `public/icon.svg`: `npm run icons`, after the drawing has changed. The
 * files are committed.
 */

import { readFileSync } from "node:fs";
import { fileURLToPath } from "node:url";
import puppeteer from "puppeteer-core";

const file = (name) => fileURLToPath(new URL(`public/${name}`, import.meta.url));
const drawing = readFileSync(file("icon.svg"), "utf8");
/** Systems cut a maskable icon to their own form, and an Apple one's corners: the ground reaches the edge. */
const square = drawing.replace(/ rx="\d+"/, "");
/** The middle four fifths are always seen. */
const maskable = square.replace(/<g /, '<g transform="translate(3.2 3.2) scale(0.8)" ');

const browser = await puppeteer.launch({ executablePath: process.env.MAETOK_CHROMIUM ?? "/usr/bin/chromium", args: ["--no-sandbox"] });
try {
  const page = await browser.newPage();
  for (const [name, size, svg] of [["icon-192.png", 192, drawing], ["icon-512.png", 512, drawing], ["icon-180.png", 180, square], ["icon-maskable-512.png", 512, maskable]]) {
    await page.setViewport({ width: size, height: size });
    await page.setContent(`<style>html,body{margin:0;background:transparent}svg{display:block;width:${size}px;height:${size}px}</style>${svg}`);
    await page.screenshot({ path: file(name), omitBackground: true });
  }
} finally {
  await browser.close();
}
