import type { LlamaModel, Token } from "node-llama-cpp";

/** A character has at most four bytes, and a token at least one; more held tokens mean nonsense. */
const maxHeldTokens = 4;
/** What some tokenizers need to know about a text's start to decide on a leading space. */
const contextTokens = 4;

/** Turns tokens into text as they come, holding back a character whose last bytes are still missing. */
export class TokenDecoder {
  readonly #model: Pick<LlamaModel, "detokenize">;
  #held: Token[] = [];
  #previous: Token[] = [];

  constructor(model: Pick<LlamaModel, "detokenize">) {
    this.#model = model;
  }

  push(token: Token): string {
    this.#held.push(token);
    const text = this.#model.detokenize(this.#held, false, this.#previous);
    if (text.endsWith("\uFFFD") && this.#held.length < maxHeldTokens) return "";
    return this.#take(text);
  }

  /** The rest at the end of the answer. */
  flush(): string {
    if (this.#held.length === 0) return "";
    return this.#take(this.#model.detokenize(this.#held, false, this.#previous));
  }

  #take(text: string): string {
    this.#previous = [...this.#previous, ...this.#held].slice(-contextTokens);
    this.#held = [];
    return text;
  }
}
