/** What a code means to each kind of client. `text` is safe to show: it never depends on a cause. */
type ErrorRow = Readonly<{
  /** HTTP status (RFC 9110). */
  status: number;
  /** WebSocket close code (RFC 6455, section 7.4) where the failure ends the connection. */
  closeCode: number;
  /** Whether the same request may succeed later without a change. */
  retryable: boolean;
  text: string;
}>;

/** The closed list of everything that can go wrong, and the only place where a code gets its meaning. */
export const errorTable = {
  bad_request: row(400, 1008, false, "The request is malformed."),
  unsupported_data: row(400, 1003, false, "Binary frames are not accepted. Send text."),
  invalid_request: row(400, 1008, false, "The request is missing a parameter or repeats one."),
  unsupported_grant_type: row(400, 1008, false, "Only grant_type=password is supported."),
  invalid_grant: row(401, 1008, false, "The username or the password is wrong."),
  unauthorized: row(401, 4401, false, "Sign in first: a valid access token is required."),
  token_expired: row(
    401,
    4401,
    false,
    "The access token has expired or was revoked. Sign in again.",
  ),
  forbidden: row(403, 1008, false, "This is not allowed."),
  origin_not_allowed: row(403, 1008, false, "Requests from this origin are not allowed."),
  proxy_in_local_mode: row(
    403,
    1008,
    false,
    "The service runs in local mode and refuses requests that came through a proxy. Set SECRET_KEY and TRUST_PROXY to run it behind one.",
  ),
  signup_disabled: row(403, 1008, false, "Sign-up is turned off on this server."),
  not_found: row(404, 4404, false, "There is nothing here under that name."),
  method_not_allowed: row(405, 1008, false, "This method is not allowed here."),
  username_taken: row(409, 1008, false, "This username is taken."),
  turn_in_progress: row(
    409,
    1008,
    true,
    "The session is still answering the previous message. Wait for it or stop it.",
  ),
  provider_not_configured: row(
    409,
    1008,
    false,
    "No key is configured for this session's provider. Set one with /set-llm or on the server.",
  ),
  payload_too_large: row(413, 1009, false, "The request is too large."),
  unsupported_media_type: row(415, 1003, false, "This media type is not accepted here."),
  invalid_input: row(422, 1008, false, "Some fields are not valid."),
  invalid_base_url: row(422, 1008, false, "This base URL is not allowed."),
  api_key_required: row(422, 1008, false, "A base URL of your own needs an api_key of its own."),
  context_length_exceeded: row(422, 1009, false, "The message is too long for this model."),
  rate_limited: row(429, 1008, true, "Too many requests. Try again later."),
  too_many_connections: row(429, 1013, true, "Too many open connections. Close one first."),
  internal_error: row(500, 1011, true, "Something went wrong on our side."),
  upstream_error: row(502, 1011, true, "The model provider failed or sent something unreadable."),
  upstream_rejected: row(
    502,
    1011,
    false,
    "The model provider refused the request. Check the key, the model name and the parameters.",
  ),
  service_unavailable: row(503, 1013, true, "The service is overloaded. Try again in a moment."),
  storage_unavailable: row(503, 1013, true, "The database does not answer. Nothing was changed."),
  model_unavailable: row(503, 1013, true, "The embedded model is not ready."),
  shutting_down: row(503, 1001, true, "The service is restarting. Try again in a moment."),
  slow_reader: row(503, 1013, true, "The connection reads too slowly. Connect again to resume."),
  upstream_timeout: row(504, 1011, true, "The model provider did not answer in time."),
} as const satisfies Record<string, ErrorRow>;

export type ErrorCode = keyof typeof errorTable;

export const errorCodes = Object.keys(errorTable) as [ErrorCode, ...ErrorCode[]];

/** One field that was refused: `path` is dotted (`stop.0`), `message` is a sentence a person can act on. */
export type FieldError = Readonly<{ path: string; message: string }>;

export type AppErrorOptions = Readonly<{
  /** For the log only; never reaches a client. */
  cause?: unknown;
  errors?: readonly FieldError[];
  retryAfterSeconds?: number;
}>;

const brand = Symbol.for("llm-service.error");

/**
 * The only error that carries a meaning to a client. `message` is shown as it is, so it holds no
 * path, secret, stack or upstream text; leave it out to use the table's text.
 *
 * Two module graphs may hold this class, so recognise it with {@link isAppError}, not `instanceof`.
 */
export class AppError extends Error {
  override readonly name = "AppError";
  readonly code: ErrorCode;
  readonly errors: readonly FieldError[] | undefined;
  readonly retryAfterSeconds: number | undefined;
  readonly [brand] = true;

  constructor(code: ErrorCode, message?: string, options: AppErrorOptions = {}) {
    super(message ?? errorTable[code].text, { cause: options.cause });
    this.code = code;
    this.errors = options.errors;
    this.retryAfterSeconds = options.retryAfterSeconds;
  }
}

/** A reason not to start at all: its message is for the operator and says how to mend it. */
export class StartupError extends Error {
  override readonly name: string = "StartupError";
}

/** Recognises an AppError from any module graph, by brand. */
export function isAppError(error: unknown): error is AppError {
  return typeof error === "object" && error !== null && brand in error;
}

/** Returns the error itself when it is an AppError; anything else becomes `internal_error` with it as the cause. */
export function toAppError(error: unknown): AppError {
  return isAppError(error) ? error : new AppError("internal_error", undefined, { cause: error });
}

function row(status: number, closeCode: number, retryable: boolean, text: string): ErrorRow {
  return { status, closeCode, retryable, text };
}
