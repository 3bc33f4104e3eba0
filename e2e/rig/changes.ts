/** How long a test waits for something that should happen at once on loopback. */
export const defaultDeadlineMs = 10_000;

export type UntilOptions = Readonly<{
  /** What is awaited, for the message when it does not come: "a frame of type turn-end". */
  what: string;
  deadlineMs?: number;
  /** Ends the wait with the signal's reason. */
  signal?: AbortSignal;
}>;

/** A condition variable: whoever waits is asked again each time something changed. No polling. */
export class Changes {
  readonly #checks = new Set<() => void>();

  notify(): void {
    for (const check of this.#checks) check();
  }

  /**
   * Resolves with the probe's first answer that is not undefined, which may be the one at the call.
   * Rejects with what the probe throws, with the signal's reason, or, after the deadline, with an
   * Error that says what did not come.
   */
  until<T>(probe: () => T | undefined, options: UntilOptions): Promise<T> {
    const { what, deadlineMs = defaultDeadlineMs, signal } = options;
    return new Promise<T>((resolve, reject) => {
      const settle = (finish: () => void) => {
        clearTimeout(timer);
        this.#checks.delete(check);
        signal?.removeEventListener("abort", onAbort);
        finish();
      };
      const check = () => {
        try {
          const answer = probe();
          if (answer !== undefined) settle(() => resolve(answer));
        } catch (error) {
          settle(() => reject(error));
        }
      };
      const onAbort = () => settle(() => reject(signal?.reason));
      const timer = Number.isFinite(deadlineMs)
        ? setTimeout(
            () => settle(() => reject(new Error(`Waited ${deadlineMs} ms for ${what}`))),
            deadlineMs,
          )
        : undefined;
      this.#checks.add(check);
      signal?.addEventListener("abort", onAbort);
      if (signal?.aborted) onAbort();
      else check();
    });
  }
}
