import { Changes } from "../changes.ts";

/** Named gates at which scripts wait until the test lets them on. */
export class Gates {
  readonly #changes = new Changes();
  readonly #passes = new Map<string, number>();
  readonly #waiting = new Map<string, number>();

  /** Lets everybody through, now and later. */
  open(name: string): void {
    this.pass(name, Number.POSITIVE_INFINITY);
  }

  /** Lets the next `count` waiters through, now or when they come. */
  pass(name: string, count = 1): void {
    this.#passes.set(name, (this.#passes.get(name) ?? 0) + count);
    this.#changes.notify();
  }

  /** Waits, as long as it takes, for a pass and uses it up. Rejects when the signal aborts. */
  async enter(name: string, signal: AbortSignal): Promise<void> {
    this.#count(name, 1);
    const usePass = () => {
      const left = this.#passes.get(name) ?? 0;
      if (left === 0) return undefined;
      this.#passes.set(name, left - 1);
      return true;
    };
    const what = `gate ${name}`;
    try {
      await this.#changes.until(usePass, { what, deadlineMs: Number.POSITIVE_INFINITY, signal });
    } finally {
      this.#count(name, -1);
    }
  }

  /** Resolves when `count` scripts stand before the gate. */
  async reached(name: string, count = 1): Promise<void> {
    const enough = () => (this.#waiting.get(name) ?? 0) >= count || undefined;
    await this.#changes.until(enough, { what: `${count} scripts at gate ${name}` });
  }

  /** Takes back every pass and opening that is left. */
  close(): void {
    this.#passes.clear();
  }

  #count(name: string, change: number): void {
    this.#waiting.set(name, (this.#waiting.get(name) ?? 0) + change);
    this.#changes.notify();
  }
}
