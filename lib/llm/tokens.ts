import { setImmediate } from "node:timers/promises";

/** The part of a message that is counted. */
export type CountedMessage = Readonly<{
  role: "system" | "user" | "assistant";
  content: string;
}>;

/**
 * What a chat template adds to each message in o200k_base: the token that opens it, its role, the
 * token that separates role from content, and the token that closes it.
 */
export const messageOverheadTokens = 4;

/**
 * The encoder compares all neighbours anew after each merge, so a word of n bytes costs n²: 64 KiB
 * of "a" would take seconds. Words and runs longer than this are counted in slices, mostly exactly,
 * at worst by half too high. Words of people's languages stay below it and are counted exactly.
 */
const maxUnitsPerSlice = 128;

/** The event loop gets a turn after as many UTF-16 units: milliseconds, or 25 ms of the worst input. */
const maxUnitsPerBlock = 8192;

/**
 * Counts the tokens of a text in o200k_base, the vocabulary of OpenAI's models since GPT-4o; for
 * other models it is an estimate. The spelling of a special token (`<|endoftext|>`) in the text is
 * counted as the plain text it is.
 *
 * Asynchronous because the first call loads the vocabulary, which takes about 200 ms and 75 MB (a
 * process that never counts never pays), and because long texts leave the event loop free in
 * between. Nothing of the text is kept.
 */
export async function countTokens(text: string): Promise<number> {
  const [encoding, { O200K_TOKEN_SPLIT_REGEX }] = await Promise.all([
    import("gpt-tokenizer/encoding/o200k_base"),
    import("gpt-tokenizer/encodingParams/constants"),
  ]);
  // By default it keeps up to 100,000 words that people wrote, for the gain of a few milliseconds.
  encoding.setMergeCacheSize(0);
  let count = 0;
  let unitsInBlock = 0;
  for (const slice of slicesOf(text, O200K_TOKEN_SPLIT_REGEX)) {
    if (unitsInBlock >= maxUnitsPerBlock) {
      await setImmediate();
      unitsInBlock = 0;
    }
    count += encoding.countTokens(slice, { disallowedSpecial: new Set() });
    unitsInBlock += slice.length;
  }
  return count;
}

/** Counts a message as a model is charged for it: its content and {@link messageOverheadTokens}. */
export async function countMessageTokens(message: CountedMessage): Promise<number> {
  return messageOverheadTokens + (await countTokens(message.content));
}

/**
 * Cuts a text where the encoder itself begins a new word, which changes no count, and inside
 * overlong words, which may.
 */
function* slicesOf(text: string, word: RegExp): Generator<string> {
  let start = 0;
  for (const match of text.matchAll(word)) {
    const end = match.index + match[0].length;
    if (match[0].length > maxUnitsPerSlice) {
      if (match.index > start) yield text.slice(start, match.index);
      yield* slicesOfWord(match[0]);
      start = end;
    } else if (end - start >= maxUnitsPerBlock) {
      yield text.slice(start, end);
      start = end;
    }
  }
  if (start < text.length) yield text.slice(start);
}

function* slicesOfWord(word: string): Generator<string> {
  for (let start = 0; start < word.length;) {
    const sliceEnd = Math.min(start + maxUnitsPerSlice, word.length);
    const end = splitsPair(word, sliceEnd) ? sliceEnd - 1 : sliceEnd;
    yield word.slice(start, end);
    start = end;
  }
}

function splitsPair(text: string, position: number): boolean {
  return (text.codePointAt(position - 1) ?? 0) > 0xffff;
}
