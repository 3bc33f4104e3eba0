import type {
  LanguageModelV4Message,
  LanguageModelV4Prompt,
  SharedV4Warning,
} from "@ai-sdk/provider";
import type { ChatHistoryItem } from "node-llama-cpp";

export type ChatHistory = Readonly<{
  items: readonly ChatHistoryItem[];
  warnings: readonly SharedV4Warning[];
}>;

/**
 * Turns an AI SDK prompt into the history that chat templates render, ending where the model's
 * answer goes; one without a system message gets the default one. What a small text model cannot
 * take, files and tools, is left out with a warning; reasoning of earlier turns is left out
 * silently, as it is never sent back.
 */
export function toChatHistory(
  prompt: LanguageModelV4Prompt,
  defaultSystemPrompt: string | undefined,
): ChatHistory {
  const unsupported = new Set<string>();
  const items = prompt.flatMap((message) => toItem(message, unsupported));
  if (defaultSystemPrompt !== undefined && !items.some(({ type }) => type === "system")) {
    items.unshift({ type: "system", text: defaultSystemPrompt });
  }
  if (items.at(-1)?.type !== "model") items.push({ type: "model", response: [""] });
  return {
    items,
    warnings: [...unsupported].map((feature) => ({ type: "unsupported", feature })),
  };
}

function toItem(message: LanguageModelV4Message, unsupported: Set<string>): ChatHistoryItem[] {
  if (message.role === "system") return [{ type: "system", text: message.content }];
  if (message.role === "tool") {
    unsupported.add("tool messages");
    return [];
  }
  const texts: string[] = [];
  for (const part of message.content) {
    if (part.type === "text") texts.push(part.text);
    else if (part.type === "file" && part.data.type === "text") texts.push(part.data.text);
    else if (part.type !== "reasoning") unsupported.add(`${part.type} parts`);
  }
  const text = texts.join("\n\n");
  return message.role === "user" ? [{ type: "user", text }] : [{ type: "model", response: [text] }];
}
