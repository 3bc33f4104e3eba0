export type FilteredText = Readonly<{ text: string; isStopped: boolean }>;

/** Passes text on until a stop sequence appears, which is left out, also when it comes in pieces. */
export class StopSequenceFilter {
  readonly #sequences: readonly string[];
  #held = "";

  constructor(sequences: readonly string[]) {
    this.#sequences = sequences.filter((sequence) => sequence !== "");
  }

  push(text: string): FilteredText {
    const pending = this.#held + text;
    const stops = this.#sequences
      .map((sequence) => pending.indexOf(sequence))
      .filter((index) => index !== -1);
    if (stops.length > 0) {
      this.#held = "";
      return { text: pending.slice(0, Math.min(...stops)), isStopped: true };
    }
    const heldLength = this.#possibleStartLength(pending);
    this.#held = pending.slice(pending.length - heldLength);
    return { text: pending.slice(0, pending.length - heldLength), isStopped: false };
  }

  /** What was held back, when the answer ends without a stop sequence. */
  flush(): string {
    const text = this.#held;
    this.#held = "";
    return text;
  }

  /** The length of the longest end of the text with which a stop sequence may begin. */
  #possibleStartLength(text: string): number {
    const longest = Math.max(0, ...this.#sequences.map((sequence) => sequence.length - 1));
    for (let length = Math.min(longest, text.length); length > 0; length--) {
      const end = text.slice(text.length - length);
      if (this.#sequences.some((sequence) => sequence.startsWith(end))) return length;
    }
    return 0;
  }
}
