import { spawn } from "node:child_process";

import { projectRoot } from "../rig/project-root.ts";

export type RunOptions = Readonly<{
  timeoutMs: number;
  /** Laid over this process's variables. */
  env?: Readonly<Record<string, string | undefined>>;
  /** Shows nothing of what the command prints. */
  quiet?: boolean;
}>;

export type RunResult = Readonly<{
  /** Undefined when a signal ended it or it could not be started. */
  code: number | undefined;
  timedOut: boolean;
}>;

/**
 * Runs a command in the repository's root, in a process group of its own with no standard input. When
 * it ends or its time is over, or this process is told to stop, the whole group is killed, so that
 * nothing that a command started outlives it.
 */
export async function runCommand(
  command: readonly string[],
  { timeoutMs, env, quiet = false }: RunOptions,
): Promise<RunResult> {
  const [program = "", ...rest] = command;
  const output = quiet ? "ignore" : "inherit";
  const child = spawn(program, rest, {
    cwd: projectRoot,
    detached: true,
    stdio: ["ignore", output, output],
    env: { ...process.env, ...env },
  });
  const killGroup = () => killProcessGroup(child.pid);
  process.prependOnceListener("exit", killGroup);
  let timedOut = false;
  const timer = setTimeout(() => {
    timedOut = true;
    killGroup();
  }, timeoutMs);
  const code = await new Promise<number | undefined>((resolve) => {
    child.once("error", () => resolve(undefined));
    child.once("exit", (exitCode) => resolve(exitCode ?? undefined));
  });
  clearTimeout(timer);
  process.off("exit", killGroup);
  killGroup();
  return { code, timedOut };
}

function killProcessGroup(leader: number | undefined): void {
  if (leader === undefined) return;
  try {
    process.kill(-leader, "SIGKILL");
  } catch {
    // Nobody of the group is left, which is the usual end.
  }
}
