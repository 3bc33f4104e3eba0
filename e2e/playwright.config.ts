import { availableParallelism } from "node:os";

import { defineConfig } from "@playwright/test";

import { findOrInstallChromium } from "./browser.ts";

// Playwright loads this file again in each worker, which then finds the path already known.
process.env.CHROMIUM_PATH ??= await findOrInstallChromium();

const countsFile = process.env.PLAYWRIGHT_COUNTS_FILE;
const isRoot = process.getuid?.() === 0;

/** A browser that asks nobody anything: no name but localhost resolves, and it phones no home. */
const closedNetworkFlags = [
  "--host-resolver-rules=MAP * ~NOTFOUND, EXCLUDE 127.0.0.1, EXCLUDE localhost",
  "--no-proxy-server",
  "--disable-background-networking",
  "--disable-component-update",
  "--disable-domain-reliability",
  "--disable-sync",
  "--disable-quic",
  "--no-first-run",
  "--disable-gpu",
  ...(isRoot ? ["--no-sandbox"] : []),
];

export default defineConfig({
  testDir: ".",
  testMatch: ["browser/**/*.spec.ts", "rig/**/*.spec.ts"],
  outputDir: "output",
  // A browser, a service and a test keep two cores busy.
  workers: Math.max(1, Math.floor(availableParallelism() / 2)),
  fullyParallel: false,
  forbidOnly: Boolean(process.env.CI),
  retries: 0,
  timeout: 60_000,
  expect: { timeout: 10_000 },
  reporter: [["list"], ...(countsFile ? [["json", { outputFile: countsFile }] as const] : [])],
  use: {
    browserName: "chromium",
    locale: "en-US",
    timezoneId: "UTC",
    screenshot: "only-on-failure",
    trace: "retain-on-failure",
    launchOptions: { executablePath: process.env.CHROMIUM_PATH, args: closedNetworkFlags },
  },
});
