import { createOpenAI } from "@ai-sdk/openai";
import { createOpenAICompatible } from "@ai-sdk/openai-compatible";
import type { LanguageModelV4 } from "@ai-sdk/provider";
import type { ModelParameters } from "../../api/schemas.ts";
import type { ProviderId } from "../../provider-ids.ts";
import { createMockModel } from "./mock.ts";

/** What is needed to call one model. */
export type ModelSettings = Readonly<{
  modelName: string;
  apiKey: string | undefined;
  baseUrl: string | undefined;
  /** Opens every connection to the provider. */
  fetch: typeof fetch;
}>;

export type Provider = Readonly<{
  label: string;
  /** The environment variable with the server's own key; none where no key is needed. */
  keyVariable?: "OPENAI_API_KEY" | "OPENAI_COMPATIBLE_API_KEY";
  /** Whether a call without a key can work. */
  keyOptional: boolean;
  takesBaseUrl: boolean;
  /** The model that is used when nobody names one. */
  defaultModel?: string;
  /** Names by which a model is known to be this provider's. */
  modelPattern?: RegExp;
  parameters: ReadonlySet<keyof ModelParameters>;
  createModel: (settings: ModelSettings) => LanguageModelV4;
}>;

const samplingParameters = ["temperature", "max_tokens", "top_p", "seed", "stop"] as const;
/** Named, or the client would take it from an environment variable of its own. */
const openAiBaseUrl = "https://api.openai.com/v1";
const penalties = ["presence_penalty", "frequency_penalty"] as const;
const openAiParameters = new Set([
  ...samplingParameters,
  ...penalties,
  "reasoning_effort",
] as const);

/**
 * How each provider's models are made, what they take and where their key is found. The embedded
 * model is made at start, so its row lives with it (see model-catalog.ts).
 */
export const providers: Readonly<Record<Exclude<ProviderId, "local">, Provider>> = {
  openai: {
    label: "OpenAI",
    keyVariable: "OPENAI_API_KEY",
    keyOptional: false,
    takesBaseUrl: true,
    defaultModel: "gpt-4.1-mini",
    modelPattern: /^(gpt-|chatgpt-|o\d)/,
    parameters: openAiParameters,
    createModel: ({ modelName, apiKey = "", baseUrl = openAiBaseUrl, fetch }) =>
      createOpenAI({ apiKey, fetch, baseURL: baseUrl }).chat(modelName),
  },
  "openai-compatible": {
    label: "OpenAI-compatible server",
    keyVariable: "OPENAI_COMPATIBLE_API_KEY",
    keyOptional: true,
    takesBaseUrl: true,
    parameters: openAiParameters,
    createModel: ({ modelName, apiKey, baseUrl = "", fetch }) =>
      createOpenAICompatible({
        name: "openai-compatible",
        baseURL: baseUrl,
        includeUsage: true,
        fetch,
        ...(apiKey !== undefined && { apiKey }),
      }).chatModel(modelName),
  },
  mock: {
    label: "Mock (scripted replies)",
    keyOptional: true,
    takesBaseUrl: false,
    defaultModel: "echo",
    parameters: openAiParameters,
    createModel: ({ modelName }) => createMockModel(modelName),
  },
};

/** What llama.cpp's sampler takes. */
export const localParameters: Provider["parameters"] = new Set([
  ...samplingParameters,
  ...penalties,
]);
