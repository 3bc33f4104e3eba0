/**
 * Aborts its signal when it is not re-armed in time, or when the outer signal aborts. `problem`
 * tells afterwards that time ran out, and what was waited for.
 */
export class Watchdog implements Disposable {
  readonly signal: AbortSignal;
  readonly #controller = new AbortController();
  #timer: NodeJS.Timeout | undefined;
  #problem: string | undefined;

  constructor(outer: AbortSignal | undefined) {
    const own = this.#controller.signal;
    this.signal = outer === undefined ? own : AbortSignal.any([outer, own]);
  }

  get problem(): string | undefined {
    return this.#problem;
  }

  /** Starts the time anew; `problem` says what it means when it runs out. */
  arm(timeoutMs: number, problem: string): void {
    clearTimeout(this.#timer);
    this.#timer = setTimeout(() => {
      this.#problem = problem;
      this.#controller.abort(new Error(problem));
    }, timeoutMs);
  }

  [Symbol.dispose](): void {
    clearTimeout(this.#timer);
  }
}
