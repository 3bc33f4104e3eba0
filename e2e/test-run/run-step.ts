import { readFile } from "node:fs/promises";
import { join } from "node:path";

import type { Counts } from "./counts.ts";
import { runCommand } from "./run-command.ts";
import type { RunResult } from "./run-command.ts";
import type { Step } from "./steps.ts";

export type StepRun = Readonly<{
  /** Files and options named on the command line. */
  rest: readonly string[];
  /** A directory for what the commands report. */
  reportDir: string;
  env: Readonly<Record<string, string>>;
}>;

export type StepResult = Readonly<{
  name: string;
  counts: Counts;
  seconds: number;
  /** Why the step failed where its tests do not say so. */
  problem?: string;
}>;

/** Runs one step to its end and counts its tests. Never throws. */
export async function runStep(step: Step, { rest, reportDir, env }: StepRun): Promise<StepResult> {
  const countsFile = join(reportDir, `${step.name}.json`);
  const files = rest.some((word) => !word.startsWith("-")) ? rest : [...rest, ...step.files];
  const command = step.command(files, countsFile);
  console.log(`\n== ${step.name}: ${describe(command)}`);
  const startedAtMs = performance.now();
  const result = await runCommand(command, {
    timeoutMs: step.timeoutMs,
    env: { ...env, ...step.env?.(countsFile) },
  });
  const seconds = (performance.now() - startedAtMs) / 1000;
  const reported = await readCounts(step, countsFile, result);
  return { name: step.name, seconds, ...judge(step, reported, result) };
}

/** A result for a step that cannot run because something it needs is missing. */
export function cannotRun(step: Step, problem: string): StepResult {
  return { name: step.name, seconds: 0, counts: { passed: 0, failed: 1, skipped: 0 }, problem };
}

async function readCounts(
  step: Step,
  countsFile: string,
  result: RunResult,
): Promise<Counts | undefined> {
  if (!step.parseCounts) {
    const failed = result.code === 0 ? 0 : 1;
    return { passed: 1 - failed, failed, skipped: 0 };
  }
  try {
    return step.parseCounts(await readFile(countsFile, "utf8"));
  } catch {
    return undefined;
  }
}

/** Counts one failure more where the tests alone would let a bad run pass. */
function judge(
  { timeoutMs, parseCounts }: Step,
  reported: Counts | undefined,
  { code, timedOut }: RunResult,
): Pick<StepResult, "counts" | "problem"> {
  const counts = reported ?? { passed: 0, failed: 0, skipped: 0 };
  const ranNone = counts.passed + counts.failed === 0;
  const problems: readonly (readonly [boolean, string])[] = [
    [timedOut, `was killed after ${timeoutMs / 60_000} minutes`],
    [Boolean(parseCounts) && !reported, `ended with ${String(code)} and reported no count`],
    [ranNone, "ran no test"],
    [code !== 0 && counts.failed === 0, `ended with ${String(code)} though no test failed`],
  ];
  const problem = problems.find(([applies]) => applies)?.[1];
  const failed = problem && counts.failed === 0 ? 1 : counts.failed;
  return { counts: { ...counts, failed }, problem };
}

function describe(command: readonly string[]): string {
  return command.filter((word) => !word.startsWith("--test-reporter")).join(" ");
}
