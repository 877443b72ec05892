/** The two browsers of Debian 12, headless, with WebGPU on a software adapter. */

import { existsSync, readdirSync, readFileSync } from "node:fs";
import puppeteer, { type Browser, type LaunchOptions } from "puppeteer-core";

export type BrowserName = "chromium" | "firefox";

const LAUNCH: Record<BrowserName, LaunchOptions> = {
  chromium: {
    browser: "chrome",
    executablePath: process.env.MAETOK_CHROMIUM ?? "/usr/bin/chromium",
    args: [
      // Root, as in a container, has no sandbox.
      "--no-sandbox",
      "--enable-unsafe-webgpu",
      "--use-webgpu-adapter=swiftshader",
      "--disable-quic",
      "--no-first-run",
      "--disable-background-networking",
      "--disable-component-update",
      "--disable-sync",
      "--lang=en",
    ],
  },
  firefox: {
    browser: "firefox",
    executablePath: process.env.MAETOK_FIREFOX ?? "/usr/bin/firefox-esr",
    extraPrefsFirefox: {
      "dom.webgpu.enabled": true,
      "dom.webgpu.workers.enabled": true,
      "gfx.webgpu.ignore-blocklist": true,
      "intl.accept_languages": "en",
    },
  },
};

/** Starts a browser that saves files to `downloads`. One that is not installed is a failure, not a skip. */
export async function launch(name: BrowserName, downloads: string): Promise<Browser> {
  const options = LAUNCH[name];
  if (!existsSync(options.executablePath!)) {
    throw new Error(`${options.executablePath} is not installed: \`cargo xtask test\` installs it, or set MAETOK_${name.toUpperCase()}`);
  }
  const extraPrefsFirefox = {
    ...options.extraPrefsFirefox,
    "browser.download.dir": downloads,
    "browser.download.folderList": 2,
    "browser.download.alwaysOpenPanel": false,
  };
  // Every test sets its own window size.
  return puppeteer.launch({ ...options, extraPrefsFirefox, headless: true, defaultViewport: null, protocolTimeout: 600_000 });
}

/** Kills the process in which this Chromium talks to the graphics processor, as a driver that crashes does. */
export function killGpuProcess(browser: Browser): void {
  const processes = readdirSync("/proc").filter((name) => /^\d+$/.test(name)).flatMap((pid) => {
    try {
      // The name in brackets may have spaces in it; what follows is the state and the parent.
      const [, parent] = readFileSync(`/proc/${pid}/stat`, "latin1").replace(/^.*\) /s, "").split(" ");
      return [{ pid: Number(pid), parent: Number(parent), command: readFileSync(`/proc/${pid}/cmdline`, "latin1") }];
    } catch {
      // It has ended meanwhile.
      return [];
    }
  });
  const ours = new Set([browser.process()!.pid!]);
  for (let before = 0; before < ours.size; ) {
    before = ours.size;
    for (const { pid, parent } of processes) if (ours.has(parent)) ours.add(pid);
  }
  const found = processes.filter(({ pid, command }) => ours.has(pid) && command.includes("--type=gpu-process"));
  if (found.length === 0) throw new Error("this browser has no process for the graphics processor");
  for (const { pid } of found) process.kill(pid, "SIGKILL");
}
