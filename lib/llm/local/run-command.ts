import { spawn } from "node:child_process";

export type CommandOptions = Readonly<{
  signal?: AbortSignal | undefined;
  timeoutMs: number;
  /** Gives the command the terminal for its output, which is then not returned. */
  drawsOnTerminal?: boolean;
}>;

/** A program that was ended by a signal has no exit code. */
export type CommandResult = Readonly<{ exitCode: number | null; output: string }>;

const keptOutputChars = 20_000;

/**
 * Runs a program to its end without a shell. `undefined` means that there is no such program.
 *
 * @throws the signal's reason; the program is then ended.
 */
export async function runCommand(
  command: readonly string[],
  options: CommandOptions,
): Promise<CommandResult | undefined> {
  const [program = "", ...commandArguments] = command;
  options.signal?.throwIfAborted();
  const { promise, resolve } = Promise.withResolvers<CommandResult | undefined>();
  // spawn's own timeout would keep this process alive for its whole length where there is no such program.
  const timeout = AbortSignal.timeout(options.timeoutMs);
  const child = spawn(program, commandArguments, {
    stdio: ["ignore", options.drawsOnTerminal === true ? 2 : "pipe", "pipe"],
    signal: options.signal === undefined ? timeout : AbortSignal.any([options.signal, timeout]),
    windowsHide: true,
  });
  let output = "";
  const keep = (chunk: Buffer): void => {
    output = (output + chunk.toString("utf8")).slice(-keptOutputChars);
  };
  child.stdout?.on("data", keep);
  child.stderr?.on("data", keep);
  child.once("error", (error) =>
    resolve(
      error.name === "AbortError" ? { exitCode: null, output: "it took too long" } : undefined,
    ),
  );
  child.once("close", (exitCode) => resolve({ exitCode, output }));
  const result = await promise;
  options.signal?.throwIfAborted();
  return result;
}

/** The line of a failed program's output that most likely says why it failed. */
export function describeResult({ output, exitCode }: CommandResult): string {
  const lines = output.split("\n").map((line) => line.trim());
  return (
    lines.findLast((line) => /error|assert/i.test(line)) ??
    lines.findLast((line) => line !== "") ??
    (exitCode === null ? "it was ended by a signal" : `exit status ${exitCode}`)
  );
}
