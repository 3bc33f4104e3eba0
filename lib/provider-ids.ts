/** Ids of the providers that a session can be configured with; `lib/llm/providers` has a row for each. */
export const providerIds = ["openai", "openai-compatible", "local", "mock"] as const;

export type ProviderId = (typeof providerIds)[number];
