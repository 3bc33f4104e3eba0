/** A stretch of a model's answer: what is meant for the reader, or what the model thought before. */
export type Segment = Readonly<{ kind: "text" | "reasoning"; text: string }>;

/** Separates one answer's deltas into text and reasoning, and removes special tokens. */
export type SpecialTokenFilter = Readonly<{
  /**
   * Takes the next delta and returns what is decided by now: no empty segments, neighbours differ in
   * kind, every segment is well-formed Unicode. Held back is only what could still become a token
   * (shorter than the longest token) and a high surrogate whose other half may follow.
   */
  push(delta: string): Segment[];
  /** Ends the answer and returns what was held back. The filter is of no use afterwards. */
  flush(): Segment[];
}>;

/** What the service itself removes from every answer, whichever model gave it. */
export const serviceTokens = [
  "<think>",
  "</think>",
  "<tool>",
  "</tool>",
  "<start>",
  "</end>",
] as const;

/**
 * Control tokens of the common chat templates, as they look when a server fails to strip them.
 *
 * Only spellings nobody writes by accident are here. `<s>` and `</s>` (Llama 2, Mistral) are left
 * out because they are HTML's strike-through and stand in ordinary Markdown; so are `<pad>`,
 * `<unk>`, `<bos>`, `<eos>` and `[INST]`, which prose and code use. A model that does leak them
 * names them in `controlTokens`.
 */
export const defaultControlTokens: readonly string[] = Object.values({
  chatMl: ["<|im_start|>", "<|im_end|>", "<|im_sep|>"],
  bytePair: [
    "<|endoftext|>",
    "<|endofprompt|>",
    "<|fim_prefix|>",
    "<|fim_middle|>",
    "<|fim_suffix|>",
  ],
  harmony: ["<|start|>", "<|message|>", "<|channel|>", "<|constrain|>", "<|call|>", "<|return|>"],
  harmonyAndPhi3: ["<|end|>"],
  phi3AndGlm: ["<|system|>", "<|user|>", "<|assistant|>", "<|observation|>"],
  llama3: [
    "<|begin_of_text|>",
    "<|end_of_text|>",
    "<|start_header_id|>",
    "<|end_header_id|>",
    "<|eot_id|>",
    "<|eom_id|>",
    "<|python_tag|>",
    "<|finetune_right_pad_id|>",
  ],
  llama4: ["<|header_start|>", "<|header_end|>", "<|eot|>", "<|eom|>"],
  gemma: ["<start_of_turn>", "<end_of_turn>"],
  commandR: [
    "<|START_OF_TURN_TOKEN|>",
    "<|END_OF_TURN_TOKEN|>",
    "<|USER_TOKEN|>",
    "<|CHATBOT_TOKEN|>",
    "<|SYSTEM_TOKEN|>",
  ],
  deepSeek: ["<｜begin▁of▁sentence｜>", "<｜end▁of▁sentence｜>", "<｜User｜>", "<｜Assistant｜>"],
}).flat();

export type SpecialTokenFilterOptions = Readonly<{
  /** Replaces {@link defaultControlTokens}; {@link serviceTokens} always apply. Ill-formed strings are ignored. */
  controlTokens?: readonly string[];
}>;

/**
 * Makes a filter for one answer.
 *
 * Tokens match exactly (case and spaces count), the leftmost and then the longest wins, and the
 * result does not depend on how the answer was cut into deltas. `<think>` does not nest; an answer
 * that never closes it ends as reasoning. What stands on either side of a removed token is not
 * looked at again, so nothing waits longer than one token: `<to</end>ol>` leaves `<tool>` as text.
 * Time is linear in the input.
 */
export function createSpecialTokenFilter({
  controlTokens = defaultControlTokens,
}: SpecialTokenFilterOptions = {}): SpecialTokenFilter {
  const tokens = buildTrie([
    ...serviceTokens,
    ...controlTokens.filter((token) => token.isWellFormed()),
  ]);
  let kind: Segment["kind"] = "text";
  let held = "";

  function scan(text: string, isLast: boolean): Segment[] {
    const segments: Segment[] = [];
    let start = 0;
    let position = 0;
    while (position < text.length) {
      const { length, couldGrow } = longestTokenAt(tokens, text, position);
      if (couldGrow && !isLast) break;
      if (length > 0) {
        append(segments, kind, text.slice(start, position));
        kind = kindAfter(text.slice(position, position + length), kind);
        start = position + length;
      }
      position += Math.max(length, 1);
    }
    // Half a character waits for its other half.
    const isHalf = position === text.length && isHighSurrogate(text.charCodeAt(position - 1));
    const end = isHalf && !isLast ? position - 1 : position;
    append(segments, kind, text.slice(start, end));
    held = text.slice(end);
    return segments;
  }

  return {
    push: (delta) => scan(held + delta, false),
    flush: () => scan(held, true),
  };
}

type TrieNode = { isToken: boolean; readonly next: Map<string, TrieNode> };

function buildTrie(tokens: readonly string[]): TrieNode {
  const root: TrieNode = { isToken: false, next: new Map() };
  for (const token of tokens) {
    let node = root;
    for (const unit of token.split("")) {
      const child = node.next.get(unit) ?? { isToken: false, next: new Map() };
      node.next.set(unit, child);
      node = child;
    }
    node.isToken = true;
  }
  return root;
}

/** `length` is 0 without a match; `couldGrow` says that the text ends where a longer token is still possible. */
function longestTokenAt(
  root: TrieNode,
  text: string,
  start: number,
): { length: number; couldGrow: boolean } {
  let node = root;
  let length = 0;
  for (let position = start; position < text.length; position += 1) {
    const child = node.next.get(text.charAt(position));
    if (child === undefined) return { length, couldGrow: false };
    node = child;
    if (node.isToken) length = position + 1 - start;
  }
  return { length, couldGrow: node.next.size > 0 };
}

function kindAfter(token: string, kind: Segment["kind"]): Segment["kind"] {
  if (token === "<think>") return "reasoning";
  if (token === "</think>") return "text";
  return kind;
}

function isHighSurrogate(unit: number): boolean {
  return unit >= 0xd800 && unit <= 0xdbff;
}

function append(segments: Segment[], kind: Segment["kind"], text: string): void {
  if (text === "") return;
  const last = segments.at(-1);
  // Each piece is mended before it is joined: two halves with a token between them are no character.
  const piece = text.toWellFormed();
  if (last?.kind === kind) segments[segments.length - 1] = { kind, text: last.text + piece };
  else segments.push({ kind, text: piece });
}
