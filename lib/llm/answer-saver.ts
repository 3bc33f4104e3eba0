import type { Answer } from "./answer.ts";
import type { MessageStore } from "./message-store.ts";

/** What a crash can cost of a running answer. */
const saveIntervalMs = 500;

/** Keeps what an answer has so far on disk while it grows, off the path of its tokens. */
export class AnswerSaver {
  readonly #store: MessageStore;
  readonly #messageId: string;
  readonly #answer: Answer;
  readonly #timer: NodeJS.Timeout;
  #savedLength = 0;
  #saving = false;

  constructor(store: MessageStore, messageId: string, answer: Answer) {
    this.#store = store;
    this.#messageId = messageId;
    this.#answer = answer;
    this.#timer = setInterval(() => void this.#save(), saveIntervalMs).unref();
  }

  stop(): void {
    clearInterval(this.#timer);
  }

  async #save(): Promise<void> {
    const { text, reasoning } = this.#answer;
    const length = text.length + reasoning.length;
    if (this.#saving || length === this.#savedLength) return;
    this.#saving = true;
    try {
      await this.#store.saveAnswer(this.#messageId, {
        content: text,
        reasoning: reasoning === "" ? null : reasoning,
      });
      this.#savedLength = length;
    } catch {
      // The next tick tries again; the turn's own last write is the one that must succeed.
    } finally {
      this.#saving = false;
    }
  }
}
