/**
 * For models known to answer better under another system prompt than their template's own, which
 * they get when a conversation has none. SmolLM2-135M under its template's own ("You are a helpful
 * AI assistant named SmolLM, …") got 61 of 82 facts right, in 37 tokens on average; under this one
 * 66, in 21, and greetings are still greeted. Prompts that also said "honest and friendly" got as
 * many facts right, but answered "Hello!" with an apology for a mistake.
 */
const systemPrompts: readonly Readonly<{ modelName: RegExp; systemPrompt: string }>[] = [
  {
    modelName: /^smollm2[- ]135m/i,
    systemPrompt:
      "You are a helpful assistant. You give short, clear and correct answers in plain English.",
  },
];

/** The system prompt of a conversation without one, by the model's name in its file; `undefined` leaves it to the template. */
export function defaultSystemPrompt(modelName: string | undefined): string | undefined {
  return systemPrompts.find((row) => row.modelName.test(modelName ?? ""))?.systemPrompt;
}
