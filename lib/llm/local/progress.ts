export type ModelProgress = Readonly<{
  modelId: string;
  source: string;
  receivedBytes: number;
  totalBytes: number | undefined;
}>;

export type ProgressReporter = Readonly<{
  log: (line: string) => void;
  onProgress: (progress: ModelProgress) => void;
}>;

/** The part of a stream such as `process.stderr` that the reporter needs. */
export type ProgressOutput = Readonly<{ write: (text: string) => unknown; isTTY?: boolean }>;

const redrawIntervalMs = 100;
const barCells = 30;
const plainSteps = 4;

/** Reports a download: as a bar that is drawn anew on a terminal, as five plain lines elsewhere. */
export function createProgressReporter(
  output: ProgressOutput,
  log: (line: string) => void = (line) => output.write(`${line}\n`),
): ProgressReporter {
  const onProgress = output.isTTY === true ? createBar(output) : createSteps(log);
  return { log, onProgress };
}

function createBar(output: ProgressOutput): ProgressReporter["onProgress"] {
  let drawnAtMs = Number.NEGATIVE_INFINITY;
  return (progress) => {
    const isDone = progress.receivedBytes === progress.totalBytes;
    const nowMs = performance.now();
    if (!isDone && nowMs - drawnAtMs < redrawIntervalMs) return;
    drawnAtMs = nowMs;
    const filledCells = Math.round((fractionOf(progress) ?? 0) * barCells);
    const bar = "█".repeat(filledCells) + "░".repeat(barCells - filledCells);
    const line = `${progress.modelId} ${bar} ${amounts(progress)}`;
    output.write(`\r\u001b[2K${line}${isDone ? "\n" : ""}`);
  };
}

function createSteps(log: (line: string) => void): ProgressReporter["onProgress"] {
  let lastStep = -1;
  return (progress) => {
    const step = Math.floor((fractionOf(progress) ?? 0) * plainSteps);
    if (step === lastStep) return;
    lastStep = step;
    log(`${progress.modelId}: ${amounts(progress)} from ${progress.source}`);
  };
}

function amounts(progress: ModelProgress): string {
  const fraction = fractionOf(progress);
  const received = megabytes(progress.receivedBytes);
  if (progress.totalBytes === undefined || fraction === undefined) return `${received} MB`;
  return `${Math.floor(fraction * 100)}% (${received} of ${megabytes(progress.totalBytes)} MB)`;
}

function fractionOf({ receivedBytes, totalBytes }: ModelProgress): number | undefined {
  return totalBytes === undefined || totalBytes === 0 ? undefined : receivedBytes / totalBytes;
}

function megabytes(bytes: number): string {
  return (bytes / 1e6).toFixed(1);
}
