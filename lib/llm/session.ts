import type { Message, ModelParameters, SessionConfig } from "../api/schemas.ts";
import type { MessageRow, SessionRow } from "../db/tables.ts";
import type { ProviderId } from "../provider-ids.ts";

/** How a session's model is called. The key is not part of it: it stays sealed until it is used. */
export type LlmConfig = Readonly<{
  provider: ProviderId;
  modelName: string;
  parameters: ModelParameters;
  baseUrl?: string | undefined;
  systemPrompt?: string | undefined;
  /** Tokens of the system prompt, counted when it was set. */
  systemPromptTokens: number;
}>;

/** A conversation of one user with one model. */
export type Session = Readonly<{
  id: string;
  userId: string;
  /** Null until the first message or the owner names it. */
  title: string | null;
  config: LlmConfig;
  sealedApiKey: string | null;
  /** The newest message of the branch that is shown. */
  headId: string | null;
  lastSeq: number;
  createdAtMs: number;
  updatedAtMs: number;
}>;

const titleLength = 60;

/** A title from the first line of a session's first message. */
export function titleFrom(text: string): string {
  const line = (/^.*/.exec(text.trim())?.[0] ?? "").replace(/\s+/g, " ");
  const characters = Array.from(line);
  if (characters.length <= titleLength) return line;
  return `${characters
    .slice(0, titleLength - 1)
    .join("")
    .trimEnd()}…`;
}

/** What clients may see of a configuration. */
export function toPublicConfig({ config, sealedApiKey }: Session): SessionConfig {
  return {
    provider: config.provider,
    model_name: config.modelName,
    ...config.parameters,
    ...(config.baseUrl !== undefined && { base_url: config.baseUrl }),
    ...(config.systemPrompt !== undefined && { system_prompt: config.systemPrompt }),
    api_key_set: sealedApiKey !== null,
  };
}

export function toSession(row: SessionRow): Session {
  const stored = JSON.parse(row.config_json) as Omit<LlmConfig, "provider" | "modelName">;
  return {
    id: row.id,
    userId: row.user_id,
    title: row.title,
    config: { provider: row.provider, modelName: row.model_name, ...stored },
    sealedApiKey: row.sealed_api_key,
    headId: row.head_id,
    lastSeq: row.last_seq,
    createdAtMs: row.created_at,
    updatedAtMs: row.updated_at,
  };
}

/** The columns that hold a configuration. */
export function toConfigColumns(config: LlmConfig) {
  const { provider, modelName, ...rest } = config;
  return { provider, model_name: modelName, config_json: JSON.stringify(rest) };
}

export function toMessage(row: MessageRow): Message {
  const optional = {
    reasoning: row.reasoning,
    tool_calls: parse(row.tool_calls_json),
    provider: row.provider,
    model: row.model,
    finish_reason: row.finish_reason,
    error_code: row.error_code,
    usage: parse(row.usage_json),
    cost: row.usage_json === null ? undefined : row.cost,
    timings: parse(row.timings_json),
  };
  return {
    id: row.id,
    parent_id: row.parent_id,
    role: row.role,
    content: row.content,
    status: row.status,
    created_at: new Date(row.created_at).toISOString(),
    ...(dropAbsent(optional) as Partial<Message>),
    ...(optional.cost !== undefined && { cost: optional.cost }),
  };
}

function parse(json: string | null): unknown {
  return json === null ? undefined : JSON.parse(json);
}

function dropAbsent(fields: Record<string, unknown>): Record<string, unknown> {
  return Object.fromEntries(
    Object.entries(fields).filter(([, value]) => value !== null && value !== undefined),
  );
}
