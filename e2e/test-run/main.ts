import { rmSync } from "node:fs";
import { mkdtemp } from "node:fs/promises";
import { tmpdir } from "node:os";
import { delimiter, join } from "node:path";

import { findOrInstallChromium } from "../browser.ts";
import { buildService } from "../rig/build-service.ts";
import { projectRoot } from "../rig/project-root.ts";
import { addCounts, closingLine, noCounts } from "./counts.ts";
import type { Counts } from "./counts.ts";
import { cannotRun, runStep } from "./run-step.ts";
import type { StepResult } from "./run-step.ts";
import { selectSteps } from "./select-steps.ts";
import { steps as allSteps } from "./steps.ts";
import type { Need, Step } from "./steps.ts";

type Preparation = Readonly<{
  sentence: string;
  /** Returns variables for the steps; throws where it fails. */
  prepare: () => Promise<Readonly<Record<string, string>>>;
}>;

const preparations: Readonly<Record<Need, Preparation>> = {
  build: {
    sentence: "Building what is not built",
    prepare: async () => {
      await buildService();
      return {};
    },
  },
  browser: {
    sentence: "Looking for a browser",
    prepare: async () => {
      const path = await findOrInstallChromium();
      console.log(`Using ${path}`);
      return { CHROMIUM_PATH: path };
    },
  },
};

/** Prepares what the chosen steps need, runs them all, and prints the counts. Returns the exit code. */
export async function main(words: readonly string[]): Promise<number> {
  const { steps, rest } = selectSteps(words, allSteps);
  endWithGroupsOnSignals();
  const path = [join(projectRoot, "node_modules", ".bin"), process.env.PATH].join(delimiter);
  process.env.PATH = path;
  const reportDir = await mkdtemp(join(tmpdir(), "llm-service-tests-"));
  process.once("exit", () => rmSync(reportDir, { recursive: true, force: true }));
  const { env, problems } = await prepare(steps);
  // What a killed test leaves behind goes with the directory.
  const stepEnv = { ...env, TMPDIR: reportDir };
  const results: StepResult[] = [];
  for (const step of steps) {
    const problem = step.needs.map((need) => problems.get(need)).find(Boolean);
    const running = () => runStep(step, { rest, reportDir, env: stepEnv });
    results.push(problem ? cannotRun(step, problem) : await running());
  }
  return report(results);
}

async function prepare(steps: readonly Step[]) {
  const problems = new Map<Need, string>();
  const env: Record<string, string> = {};
  for (const need of new Set(steps.flatMap((step) => step.needs))) {
    const { sentence, prepare: run } = preparations[need];
    console.log(`\n== ${sentence}`);
    try {
      Object.assign(env, await run());
    } catch (error) {
      problems.set(need, (error as Error).message);
      console.error((error as Error).message);
    }
  }
  return { env, problems };
}

function report(results: readonly StepResult[]): number {
  console.log(`\n${row(["step", "passed", "failed", "skipped", "seconds"])}`);
  for (const { name, counts, seconds, problem } of results) {
    const { passed, failed, skipped } = counts;
    const cells = [name, ...[passed, failed, skipped].map(String), seconds.toFixed(1)];
    console.log(`${row(cells)}${problem ? `  ${problem}` : ""}`);
  }
  const total = results.reduce<Counts>((sum, { counts }) => addCounts(sum, counts), noCounts);
  console.log(`\n${closingLine(total)}`);
  return total.failed === 0 && total.passed > 0 ? 0 : 1;
}

function row(cells: readonly string[]): string {
  return cells.map((cell, index) => (index === 0 ? cell.padEnd(10) : cell.padStart(9))).join("");
}

/** The steps have process groups of their own, so a Ctrl-C reaches them only through the exit handlers. */
function endWithGroupsOnSignals(): void {
  for (const [signal, code] of [
    ["SIGINT", 130],
    ["SIGTERM", 143],
    ["SIGHUP", 129],
  ] as const) {
    process.once(signal, () => process.exit(code));
  }
}
