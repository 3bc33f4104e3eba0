import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { TestContext } from "node:test";

import {
  APICallError,
  type LanguageModelV4CallOptions,
  type LanguageModelV4FinishReason,
  type LanguageModelV4StreamPart,
  type LanguageModelV4Usage,
} from "@ai-sdk/provider";
import { simulateReadableStream } from "ai";
import { MockLanguageModelV4 } from "ai/test";

import { openSqlite } from "#lib/db/sqlite.ts";
import { MessageStore } from "#lib/llm/message-store.ts";
import type { LlmConfig } from "#lib/llm/session.ts";
import { SessionStore } from "#lib/llm/session-store.ts";

export type Part = LanguageModelV4StreamPart;

export const userId = "01JUSERAAAAAAAAAAAAAAAAAAA";
export const strangerId = "01JUSERBBBBBBBBBBBBBBBBBBB";

export const plainConfig: LlmConfig = {
  provider: "openai",
  modelName: "test-model",
  parameters: {},
  systemPromptTokens: 0,
};

/** The stores on a real database in a temporary folder, with two users; gone after the test. */
export async function openStores(t: Pick<TestContext, "after">) {
  const folder = mkdtempSync(join(tmpdir(), "llm-service-chat-"));
  const database = openSqlite(join(folder, "test.db"));
  t.after(async () => {
    await database.close();
    rmSync(folder, { recursive: true });
  });
  const users = [userId, strangerId].map((id) => ({
    id,
    username: id,
    username_key: id,
    password_hash: "",
    token_version: 0,
    disabled_at: null,
    created_at: 0,
  }));
  await database.write([database.query.insertInto("users").values(users)]);
  const sessions = new SessionStore(database);
  const messages = new MessageStore(database);
  const newSession = (config: Partial<LlmConfig> = {}) =>
    sessions.create({ userId, config: { ...plainConfig, ...config } });
  return { database, sessions, messages, newSession };
}

export type Stores = Awaited<ReturnType<typeof openStores>>;

export const text = (delta: string): Part => ({ type: "text-delta", id: "1", delta });
export const reasoning = (delta: string): Part => ({ type: "reasoning-delta", id: "2", delta });

export function providerUsage(input: number | undefined, output: number | undefined) {
  return {
    inputTokens: { total: input, noCache: input, cacheRead: undefined, cacheWrite: undefined },
    outputTokens: { total: output, text: output, reasoning: undefined },
  } satisfies LanguageModelV4Usage;
}

export function finish(
  unified: LanguageModelV4FinishReason["unified"] = "stop",
  usage: LanguageModelV4Usage = providerUsage(undefined, undefined),
  providerMetadata: Extract<Part, { type: "finish" }>["providerMetadata"] = {},
): Part {
  return { type: "finish", finishReason: { unified, raw: unified }, usage, providerMetadata };
}

/** What a provider's client throws for an HTTP answer with this status; its text must reach nobody. */
export function upstreamFailure(statusCode: number, cause?: unknown): APICallError {
  return new APICallError({
    message: "secret upstream text",
    url: "https://upstream.test",
    requestBodyValues: {},
    statusCode,
    cause,
  });
}

/** A model that says these parts at every call and ends its stream. */
export function scriptedModel(...chunks: Part[]): MockLanguageModelV4 {
  return new MockLanguageModelV4({
    doStream: () =>
      Promise.resolve({
        stream: simulateReadableStream({ chunks, initialDelayInMs: null, chunkDelayInMs: null }),
      }),
  });
}

/**
 * A model driven by hand, which ignores its abort signal: whoever calls it must close its stream.
 * `opened` resolves with the call, `cancelled` when its stream is closed by the reader.
 */
export function liveModel() {
  const opened = Promise.withResolvers<LanguageModelV4CallOptions>();
  const cancelled = Promise.withResolvers<void>();
  let controller: ReadableStreamDefaultController<Part> | undefined;
  const stream = new ReadableStream<Part>({
    start: (own) => {
      controller = own;
    },
    cancel: () => cancelled.resolve(),
  });
  const model = new MockLanguageModelV4({
    doStream: (call) => {
      opened.resolve(call);
      return Promise.resolve({ stream });
    },
  });
  return {
    model,
    opened: opened.promise,
    cancelled: cancelled.promise,
    push: (...parts: Part[]) => {
      for (const part of parts) controller?.enqueue(part);
    },
    end: () => controller?.close(),
    fail: (error: unknown) => controller?.error(error),
  };
}

export async function collect<T>(values: AsyncIterable<T>): Promise<T[]> {
  const collected: T[] = [];
  for await (const value of values) collected.push(value);
  return collected;
}
