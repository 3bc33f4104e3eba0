import { availableParallelism } from "node:os";
import { fileURLToPath } from "node:url";

import { guardedNodeOptions } from "../rig/guarded-node-options.ts";
import { parseNodeCounts, parsePlaywrightCounts } from "./counts.ts";
import type { Counts } from "./counts.ts";

/** What has to be there before a step can run. */
export type Need = "build" | "browser";

/** One part of `npm test`. */
export type Step = Readonly<{
  name: string;
  needs: readonly Need[];
  timeoutMs: number;
  /** The command; `files` are those named on the command line, or the step's own. */
  command: (files: readonly string[], countsFile: string) => readonly string[];
  /** What it runs when no file is named. */
  files: readonly string[];
  /** Reads the counts file that the command wrote; a step without it is one check. */
  parseCounts?: (text: string) => Counts;
  env?: (countsFile: string) => Readonly<Record<string, string>>;
}>;

const minuteMs = 60_000;
const cores = availableParallelism();
const countReporter = fileURLToPath(new URL("./count-reporter.ts", import.meta.url));

/** Lets a test process, and every Node process that inherits its environment, reach only loopback. */
const guardedEnvironment = {
  NODE_OPTIONS: guardedNodeOptions(process.env.NODE_OPTIONS),
};

/** Everything `npm test` runs, in this order. */
export const steps: readonly Step[] = [
  check("types", ["build"], ["tsc", "--noEmit"]),
  check("lint", [], ["npm", "run", "--silent", "lint"]),
  check("format", [], ["npm", "run", "--silent", "format:check"]),
  nodeTests({
    name: "unit",
    needs: [],
    timeoutMs: 10 * minuteMs,
    concurrency: cores,
    files: [
      "{lib,app,components,bench}/**/*.test.{ts,tsx}",
      "e2e/{rig,test-run}/**/*.test.ts",
      "e2e/*.test.ts",
    ],
  }),
  // Service tests start processes and measure time, so they leave cores to what they measure.
  nodeTests({
    name: "service",
    needs: ["build"],
    timeoutMs: 20 * minuteMs,
    concurrency: Math.max(1, Math.floor(cores / 2)),
    files: ["e2e/service/**/*.test.ts"],
  }),
  {
    name: "browser",
    needs: ["build", "browser"],
    timeoutMs: 20 * minuteMs,
    files: [],
    command: (files) => ["playwright", "test", "--config", "e2e/playwright.config.ts", ...files],
    parseCounts: parsePlaywrightCounts,
    env: (countsFile) => ({ ...guardedEnvironment, PLAYWRIGHT_COUNTS_FILE: countsFile }),
  },
];

function check(name: string, needs: readonly Need[], command: readonly string[]): Step {
  const timeoutMs = 5 * minuteMs;
  return { name, needs, timeoutMs, files: [], command: (files) => [...command, ...files] };
}

type NodeTests = Pick<Step, "name" | "needs" | "timeoutMs" | "files"> &
  Readonly<{ concurrency: number }>;

function nodeTests({ concurrency, ...step }: NodeTests): Step {
  return {
    ...step,
    command: (files, countsFile) => [
      process.execPath,
      "--test",
      `--test-concurrency=${concurrency}`,
      `--test-timeout=${3 * minuteMs}`,
      "--test-reporter=spec",
      "--test-reporter-destination=stdout",
      `--test-reporter=${countReporter}`,
      `--test-reporter-destination=${countsFile}`,
      ...files,
    ],
    parseCounts: parseNodeCounts,
    env: () => guardedEnvironment,
  };
}
