import type { LanguageModelV4CallOptions } from "@ai-sdk/provider";
import type { SequenceEvaluateOptions, Token } from "node-llama-cpp";

/**
 * What a call that says nothing gets. Chosen by reading the default model's answers to 41 questions
 * of fact and some 30 of talk, lists, rewriting, explaining and verse, two or three seeds each:
 * - Temperature 0 answered "L'Étoile, la Marseillaise, la femme au roi, la femme au roi, …" when
 *   asked for the capital of France under the template's own system prompt; 0.4 and more invented
 *   names and words. 0.2 with topP 0.9 is also what its makers recommend.
 * - Without penalties verse and explanations ended in a loop. DRY, which forbids repeating word
 *   sequences, breaks it; with a repeat penalty of 1.1 besides, 8 of 10 longer answers ended within
 *   250 tokens (6 without), and facts hardly suffered (63 of 82 right instead of 64). The price: a
 *   list of five is whole in 8 cases of 15 (10 with 1.05, 11 without).
 * - A good answer took 21 tokens on average and hardly one took 300: what goes on for 512 rambles.
 *
 * The system prompt is in {@link defaultSystemPrompt}.
 */
export const samplingDefaults = {
  temperature: 0.2,
  topP: 0.9,
  topK: 40,
  minP: 0.05,
  repeatPenalty: 1.1,
  repeatPenaltyTokens: 64,
  dryStrength: 0.8,
  dryTokens: 256,
  maxOutputTokens: 512,
} as const;

/** What may repeat: the marks of lists, lines and quotations. */
const drySequenceBreakers = ["\n", ":", '"', "*"];
const maxSeed = 2 ** 32;

/** Translates the AI SDK's settings for one answer, whose tokens so far are in `answerTokens`. */
export function toEvaluateOptions(
  options: LanguageModelV4CallOptions,
  answerTokens: readonly Token[],
): SequenceEvaluateOptions {
  const defaults = samplingDefaults;
  return {
    temperature: options.temperature ?? defaults.temperature,
    topP: options.topP ?? defaults.topP,
    topK: options.topK ?? defaults.topK,
    minP: defaults.minP,
    seed: toSeed(options.seed),
    repeatPenalty: {
      penalty: defaults.repeatPenalty,
      frequencyPenalty: options.frequencyPenalty ?? 0,
      presencePenalty: options.presencePenalty ?? 0,
      punishTokens: () => answerTokens.slice(-defaults.repeatPenaltyTokens),
      maxPunishTokens: defaults.repeatPenaltyTokens,
    },
    dryRepeatPenalty: {
      strength: defaults.dryStrength,
      lastTokens: defaults.dryTokens,
      sequenceBreakers: drySequenceBreakers,
    },
  };
}

/** Random where none is asked for: llama.cpp would take the current second, the same for turns at once. */
function toSeed(seed: number | undefined): number {
  if (seed === undefined) return Math.floor(Math.random() * maxSeed);
  return Math.abs(Math.trunc(seed)) % maxSeed;
}
