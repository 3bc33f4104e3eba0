/** Facts for whoever operates the service: ids and codes, never what people wrote, never a secret. */
export type LogFields = Readonly<Record<string, string | number | boolean | undefined>>;

/** Writes one JSON line to standard error. */
export function log(level: "info" | "warn" | "error", event: string, fields: LogFields = {}): void {
  const line = { time: new Date().toISOString(), level, event, ...fields };
  process.stderr.write(`${JSON.stringify(line)}\n`);
}

/** Logs a failure with its causes and where they were thrown. */
export function logError(event: string, error: unknown, fields: LogFields = {}): void {
  log("error", event, { ...fields, error: describe(error) });
}

function describe(error: unknown): string {
  if (!(error instanceof Error)) return String(error);
  const own = error.stack ?? error.message;
  return error.cause === undefined ? own : `${own}\nCaused by: ${describe(error.cause)}`;
}
