import { z } from "zod";
import { errorCodes } from "../errors.ts";
import { providerIds } from "../provider-ids.ts";

/**
 * Every shape that crosses HTTP, and the only source of its type, its validation and its
 * documentation. Safe to import in the browser: nothing here but zod and the list of error codes.
 */

const crockfordUlid = /^[0-7][0-9A-HJKMNP-TV-Z]{25}$/;

export const Ulid = z
  .string()
  .regex(crockfordUlid, "must be a ULID of 26 characters")
  .meta({ example: "01KC0ZJ3V8T9Q2M4N6P8R0S2T4" });

/** Text that UTF-8 can hold, and with it the database and every provider: no half of a character. */
const text = () =>
  z.string().refine((value) => value.isWellFormed(), "must not hold a lone surrogate");

const Timestamp = z.iso.datetime().meta({ example: "2026-11-22T16:28:00.000Z" });

export const ProviderId = z.enum(providerIds);

// --- Accounts -----------------------------------------------------------------------------------

/** The form of an OAuth 2 password grant (RFC 6749, section 4.3.2). */
export const TokenRequest = z.object({
  username: z.string().min(1).max(128),
  password: z.string().min(1).max(1024),
  grant_type: z.literal("password").optional(),
});
export type TokenRequest = z.infer<typeof TokenRequest>;

export const TokenResponse = z.object({
  access_token: z.string(),
  token_type: z.literal("bearer"),
  expires_in: z.int().positive().describe("Seconds until the token expires."),
});
export type TokenResponse = z.infer<typeof TokenResponse>;

/** RFC 6749, section 5.2; `detail` repeats the description for clients of FastAPI services. */
export const TokenError = z.object({
  error: z.enum(["invalid_grant", "invalid_request", "unsupported_grant_type"]),
  error_description: z.string(),
  detail: z.string(),
});
export type TokenError = z.infer<typeof TokenError>;

export const RegisterRequest = z.strictObject({
  username: z
    .string()
    .trim()
    .normalize("NFKC")
    .min(3, "must have at least 3 characters")
    .max(64, "must have at most 64 characters")
    .regex(
      /^[\p{L}\p{N}][\p{L}\p{N}._@-]*$/u,
      "may hold letters, digits and . _ @ -, and starts with a letter or digit",
    )
    .meta({ example: "ada" }),
  password: text()
    .min(8, "must have at least 8 characters")
    .max(256, "must have at most 256 characters")
    .meta({ example: "correct horse battery staple" }),
});
export type RegisterRequest = z.infer<typeof RegisterRequest>;

export const RegisterResponse = z.object({
  id: Ulid,
  username: z.string(),
  created_at: Timestamp,
});
export type RegisterResponse = z.infer<typeof RegisterResponse>;

// --- Configuration of a session's model -----------------------------------------------------------

/** What a turn may override for itself; the same bounds hold everywhere. */
export const ModelParameters = z.strictObject({
  temperature: z.number().min(0).max(2).optional(),
  max_tokens: z.int().min(1).max(1_000_000).optional().describe("Most tokens of one answer."),
  top_p: z.number().gt(0).max(1).optional(),
  presence_penalty: z.number().min(-2).max(2).optional(),
  frequency_penalty: z.number().min(-2).max(2).optional(),
  seed: z.int().min(0).max(2_147_483_647).optional(),
  stop: z.array(text().min(1).max(256)).max(4).optional(),
  reasoning_effort: z.enum(["none", "minimal", "low", "medium", "high"]).optional(),
});
export type ModelParameters = z.infer<typeof ModelParameters>;

const SystemPrompt = text().max(32_768);
const Title = text().trim().min(1, "must not be blank").max(200);

export const SetLlmRequest = z
  .strictObject({
    model_name: text().trim().min(1).max(512).meta({ example: "gpt-4" }),
    provider: ProviderId.optional().describe(
      "Left out: found from the model's name, else the server's default provider.",
    ),
    ...ModelParameters.shape,
    base_url: z.string().min(1).max(2048).optional(),
    api_key: z
      .string()
      .min(1)
      .max(1024)
      .regex(/^[!-~]+$/, "may hold visible ASCII characters only")
      .optional()
      .describe("Written, never shown again."),
    system_prompt: SystemPrompt.optional(),
    session_id: Ulid.optional().describe("Reconfigures this session instead of making one."),
    title: Title.optional(),
  })
  .meta({
    example: { model_name: "gpt-4", temperature: 0.8, max_tokens: 2000, top_p: 0.95 },
  });
export type SetLlmRequest = z.infer<typeof SetLlmRequest>;

/** A session's configuration as clients see it: a key is never echoed. */
export const SessionConfig = z.object({
  provider: ProviderId,
  model_name: z.string(),
  ...ModelParameters.shape,
  base_url: z.string().optional(),
  system_prompt: z.string().optional(),
  api_key_set: z.boolean(),
});
export type SessionConfig = z.infer<typeof SessionConfig>;

export const SetLlmResponse = z.object({
  session_id: Ulid,
  message: z.string().meta({ example: "LLM session created successfully" }),
  config: SessionConfig,
  warning: z
    .string()
    .optional()
    .describe("What still has to be set before the session can answer, as a sentence."),
});
export type SetLlmResponse = z.infer<typeof SetLlmResponse>;

// --- A turn's figures -----------------------------------------------------------------------------

export const Usage = z.object({
  prompt_tokens: z.int().min(0),
  completion_tokens: z.int().min(0),
  total_tokens: z.int().min(0),
  reasoning_tokens: z.int().min(0).optional(),
  cached_tokens: z.int().min(0).optional(),
  estimated: z
    .boolean()
    .optional()
    .describe("True when the provider sent no figures and the service counted."),
  omitted_messages: z
    .int()
    .min(0)
    .optional()
    .describe("Messages of the history that the model was not shown."),
});
export type Usage = z.infer<typeof Usage>;

export const Timings = z.object({
  ttft_ms: z
    .number()
    .min(0)
    .nullable()
    .describe("From the message's arrival to the first token; null without a token."),
  total_ms: z.number().min(0),
  tokens_per_second: z.number().min(0).nullable(),
  overhead_ms: z.number().min(0).describe("What the service itself added to the model's time."),
});
export type Timings = z.infer<typeof Timings>;

/** US dollars; null where no price is known. */
export const Cost = z.number().min(0).nullable();

export const FinishReason = z.enum([
  "stop",
  "length",
  "content_filter",
  "tool_calls",
  "stopped",
  "interrupted",
  "error",
  "other",
]);
export type FinishReason = z.infer<typeof FinishReason>;

export const ToolCall = z.object({
  id: z.string(),
  name: z.string(),
  input: z.unknown(),
  output: z.unknown().optional(),
});
export type ToolCall = z.infer<typeof ToolCall>;

// --- Chat -----------------------------------------------------------------------------------------

export const MessageText = text()
  .regex(/\S/u, "must not be blank")
  .meta({ example: "Why is the sky blue?" });

export const ChatRequest = z.strictObject({
  message: MessageText,
  session_id: Ulid.optional().describe("Left out: a session with the default configuration."),
  model_params: ModelParameters.optional().describe("Overrides for this turn only."),
});
export type ChatRequest = z.infer<typeof ChatRequest>;

export const ChatResponse = z.object({
  response: z.string(),
  session_id: Ulid,
  message_id: Ulid,
  finish_reason: FinishReason,
  usage: Usage,
  cost: Cost,
  timings: Timings,
  reasoning: z.string().optional(),
  tool_calls: z.array(ToolCall).optional(),
});
export type ChatResponse = z.infer<typeof ChatResponse>;

// --- Sessions -------------------------------------------------------------------------------------

export const MessageStatus = z.enum(["complete", "streaming", "stopped", "incomplete", "error"]);
export type MessageStatus = z.infer<typeof MessageStatus>;

export const Message = z.object({
  id: Ulid,
  parent_id: Ulid.nullable().describe("The message this one follows; null for the first."),
  role: z.enum(["user", "assistant"]),
  content: z.string(),
  status: MessageStatus,
  created_at: Timestamp,
  reasoning: z.string().optional(),
  tool_calls: z.array(ToolCall).optional(),
  provider: ProviderId.optional(),
  model: z.string().optional(),
  finish_reason: FinishReason.optional(),
  error_code: z.enum(errorCodes).optional(),
  usage: Usage.optional(),
  cost: Cost.optional(),
  timings: Timings.optional(),
});
export type Message = z.infer<typeof Message>;

export const Session = z.object({
  id: Ulid,
  title: z.string(),
  config: SessionConfig,
  created_at: Timestamp,
  updated_at: Timestamp,
  last_seq: z.int().min(0).describe("Number of the newest frame of this session's stream."),
  running: z.boolean().describe("Whether a turn is being answered now."),
});
export type Session = z.infer<typeof Session>;

export const SessionSummary = Session.omit({ config: true }).extend({
  provider: ProviderId,
  model_name: z.string(),
  match: z.string().optional().describe("With q: the place found, when it was in a message."),
});
export type SessionSummary = z.infer<typeof SessionSummary>;

const Cursor = z.string().min(1).max(256);
const pageQuery = {
  limit: z.coerce.number().int().min(1).max(200).default(50),
  cursor: Cursor.optional().describe("next_cursor of the page before."),
};

export const SessionListQuery = z.strictObject({
  ...pageQuery,
  q: z.string().trim().min(1).max(200).optional().describe("Searches titles and texts."),
});
export type SessionListQuery = z.infer<typeof SessionListQuery>;

export const MessageListQuery = z.strictObject(pageQuery);
export type MessageListQuery = z.infer<typeof MessageListQuery>;

export const SessionList = z.object({
  data: z.array(SessionSummary),
  next_cursor: z.string().nullable(),
});
export type SessionList = z.infer<typeof SessionList>;

export const MessageList = z.object({
  data: z.array(Message).describe("In the order of the conversation."),
  next_cursor: z.string().nullable(),
});
export type MessageList = z.infer<typeof MessageList>;

export const SessionUpdate = z.strictObject({ title: Title });
export type SessionUpdate = z.infer<typeof SessionUpdate>;

export const StopResponse = z.object({
  stopped: z.boolean().describe("False when no turn was running."),
});
export type StopResponse = z.infer<typeof StopResponse>;

export const ForkRequest = z.strictObject({
  message_id: Ulid.optional().describe("The last message to take along; left out: all."),
  title: Title.optional(),
});
export type ForkRequest = z.infer<typeof ForkRequest>;

export const ExportQuery = z.strictObject({ format: z.enum(["md", "json"]).default("json") });
export type ExportQuery = z.infer<typeof ExportQuery>;

export const SessionExport = z.object({
  version: z.literal(1),
  exported_at: Timestamp,
  session: Session.omit({ running: true, last_seq: true }),
  messages: z.array(Message),
});
export type SessionExport = z.infer<typeof SessionExport>;

// --- Operation ------------------------------------------------------------------------------------

export const Health = z.object({
  status: z.literal("healthy"),
  version: z.string(),
  uptime_seconds: z.number().min(0),
  default_provider: ProviderId,
  default_model: z.string(),
  simulated: z.boolean().describe("True when the mock answers: replies are not a model's."),
  local_model: z.object({
    status: z.enum(["off", "preparing", "ready", "failed"]),
    detail: z.string().optional(),
  }),
});
export type Health = z.infer<typeof Health>;

export const Readiness = z.object({
  status: z.literal("ready"),
});
export type Readiness = z.infer<typeof Readiness>;

/** RFC 9457. `detail` is always there; `errors` names each refused field. */
export const Problem = z.object({
  type: z.string(),
  title: z.string(),
  status: z.int(),
  detail: z.string(),
  code: z.enum(errorCodes),
  errors: z.array(z.object({ path: z.string(), message: z.string() })).optional(),
});
export type Problem = z.infer<typeof Problem>;
