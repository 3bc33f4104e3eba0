import { setTimeout as wait } from "node:timers/promises";

const delaysMs = [1000, 5000, 15_000, ...Array.from({ length: 60 }, () => 60_000)];

/**
 * Tries an action again, ever more rarely and for about an hour, until it succeeds; resolves to
 * whether it did. Never rejects, and does not keep the process alive.
 */
export async function keepTrying(action: () => Promise<void>): Promise<boolean> {
  for (const delayMs of delaysMs) {
    await wait(delayMs, undefined, { ref: false });
    try {
      await action();
      return true;
    } catch {
      // The caller has logged the first failure; the ones that follow say the same.
    }
  }
  return false;
}
