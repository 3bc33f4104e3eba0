import type { LanguageModelV4CallOptions, SharedV4Warning } from "@ai-sdk/provider";
import type { ChatHistoryItem, LlamaModel, LlamaText, Token } from "node-llama-cpp";

import { AppError } from "#lib/errors.ts";

import { toChatHistory } from "./chat-history.ts";
import type { Engine } from "./engine.ts";
import { fitHistory } from "./fit-history.ts";
import { samplingDefaults } from "./sampling.ts";

/** Everything about a turn that is known before a sequence is free for it. */
export type CompletionPrompt = Readonly<{
  tokens: readonly Token[];
  /** Tokens that end the answer, besides those the model file itself declares. */
  stopTokens: ReadonlySet<Token>;
  stopTexts: readonly string[];
  maxTokens: number;
  /** Messages that were left out because the context is too short for them. */
  omittedMessages: number;
  warnings: readonly SharedV4Warning[];
}>;

/** An answer should have this share of the context at least, before old turns are dropped for it. */
const answerShare = 4;
/** With less room than this there is no answer worth the name. */
const minAnswerTokens = 16;

/**
 * Renders a call's prompt with the model's own template and cuts it to the context. Text of users
 * never becomes a control token: only what the template itself writes does.
 *
 * @throws AppError context_length_exceeded when the last message alone is too long.
 */
export function buildCompletionPrompt(
  engine: Pick<Engine, "model" | "chatWrapper" | "contextSize" | "systemPrompt">,
  options: LanguageModelV4CallOptions,
): CompletionPrompt {
  const { model, chatWrapper, contextSize } = engine;
  const history = toChatHistory(options.prompt, engine.systemPrompt);
  const wantedTokens = Math.max(1, options.maxOutputTokens ?? samplingDefaults.maxOutputTokens);
  const { rendered, omittedMessages } = fitHistory({
    items: history.items,
    limitTokens: contextSize - Math.min(wantedTokens, Math.floor(contextSize / answerShare)),
    render: (items) => render(items, { model, chatWrapper }),
    countRendered: ({ tokens }) => tokens.length,
    countText: (text) => model.tokenize(text).length,
  });
  const roomTokens = contextSize - rendered.tokens.length - 1;
  if (roomTokens < minAnswerTokens) throw new AppError("context_length_exceeded");
  const stops = readStops(rendered.stopTriggers, model);
  return {
    tokens: rendered.tokens,
    stopTokens: stops.tokens,
    stopTexts: [...stops.texts, ...(options.stopSequences ?? [])],
    maxTokens: Math.min(wantedTokens, roomTokens),
    omittedMessages,
    warnings: [...history.warnings, ...findUnsupported(options)],
  };
}

type Rendered = Readonly<{ tokens: readonly Token[]; stopTriggers: readonly LlamaText[] }>;

function render(
  items: readonly ChatHistoryItem[],
  { model, chatWrapper }: Pick<Engine, "model" | "chatWrapper">,
): Rendered {
  const state = chatWrapper.generateContextState({ chatHistory: items });
  const tokens = state.contextText.tokenize(model.tokenizer);
  // Templates may write the start token that the library also writes; models know only one.
  const { bos } = model.tokens;
  const hasTwoStarts = bos !== null && tokens[0] === bos && tokens[1] === bos;
  return {
    tokens: hasTwoStarts ? tokens.slice(1) : tokens,
    stopTriggers: state.stopGenerationTriggers,
  };
}

/** A trigger that begins with a control token ends the answer there; any other is looked for as text. */
function readStops(
  triggers: readonly LlamaText[],
  model: LlamaModel,
): Readonly<{ tokens: ReadonlySet<Token>; texts: readonly string[] }> {
  const tokens = new Set<Token>();
  const texts: string[] = [];
  if (model.tokens.bos !== null) tokens.add(model.tokens.bos);
  for (const trigger of triggers) {
    const [first] = trigger.tokenize(model.tokenizer);
    if (first !== undefined && model.isSpecialToken(first)) tokens.add(first);
    else texts.push(trigger.toString());
  }
  return { tokens, texts };
}

function findUnsupported(options: LanguageModelV4CallOptions): SharedV4Warning[] {
  const features: Record<string, boolean> = {
    tools: (options.tools?.length ?? 0) > 0,
    responseFormat: options.responseFormat?.type === "json",
    reasoning: !["provider-default", "none"].includes(options.reasoning ?? "none"),
  };
  return Object.keys(features)
    .filter((feature) => features[feature])
    .map((feature) => ({ type: "unsupported", feature }));
}
