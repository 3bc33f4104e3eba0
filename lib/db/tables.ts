import type { ErrorCode } from "../errors.ts";
import type { ProviderId } from "../provider-ids.ts";

/** Times are milliseconds since the epoch; ids are ULIDs; `_json` columns hold JSON text. */
export type Tables = {
  users: UserRow;
  revoked_sign_ins: RevokedSignInRow;
  sessions: SessionRow;
  messages: MessageRow;
};

export type UserRow = {
  id: string;
  username: string;
  /** The username as it is compared: NFKC, case folded. */
  username_key: string;
  password_hash: string;
  /** Raised to revoke every token of the user at once. */
  token_version: number;
  disabled_at: number | null;
  created_at: number;
};

export type RevokedSignInRow = {
  /** The `sid` claim that all tokens of one sign-in share. */
  sign_in_id: string;
  /** When the last token of that sign-in has expired anyway. */
  expires_at: number;
};

export type SessionRow = {
  id: string;
  user_id: string;
  /** Null until the first message or the owner names it. */
  title: string | null;
  provider: ProviderId;
  model_name: string;
  /** The rest of the configuration, without the key. */
  config_json: string;
  sealed_api_key: string | null;
  /** The newest message of the branch that is shown; null while empty. */
  head_id: string | null;
  last_seq: number;
  created_at: number;
  updated_at: number;
};

export type MessageRow = {
  id: string;
  session_id: string;
  parent_id: string | null;
  /** 1 for the first message of a branch; a path's length is its head's depth. */
  depth: number;
  role: "user" | "assistant";
  content: string;
  reasoning: string | null;
  tool_calls_json: string | null;
  status: "complete" | "streaming" | "stopped" | "incomplete" | "error";
  /** Counted once, when the text is final. */
  token_count: number;
  client_id: string | null;
  provider: ProviderId | null;
  model: string | null;
  finish_reason: string | null;
  error_code: ErrorCode | null;
  usage_json: string | null;
  timings_json: string | null;
  cost: number | null;
  created_at: number;
};
