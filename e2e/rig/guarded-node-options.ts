import { fileURLToPath } from "node:url";

const guard = fileURLToPath(new URL("./loopback-guard.ts", import.meta.url));

/**
 * A value of NODE_OPTIONS that preloads the loopback guard into a process, its worker threads and its
 * Node children. It is `--require`, because `--import` leaves out workers made from a string.
 */
export function guardedNodeOptions(others = ""): string {
  return `${others} --require=${JSON.stringify(guard)}`.trim();
}
