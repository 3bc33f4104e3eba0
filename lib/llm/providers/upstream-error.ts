import { APICallError } from "@ai-sdk/provider";
import { AppError, isAppError } from "../../errors.ts";

/** What a provider's refusal means to the person who asked; none of it is the provider's own text. */
const rejections: Readonly<Record<number, string>> = {
  401: "The model provider refused the key. Set a valid one with /set-llm or on the server.",
  403: "The model provider does not allow this key to use this model.",
  404: "The model provider does not know this model, or the base URL is wrong.",
  413: "The model provider says that the request is too large.",
};

const temporaryStatuses = new Set([408, 409, 425, 429]);

/**
 * Turns whatever a provider's client threw into an AppError: `upstream_rejected` when asking again
 * cannot help, otherwise `upstream_error`. The original stays as the cause, for the log only.
 */
export function toUpstreamError(error: unknown): AppError {
  const own = findAppError(error);
  if (own) return own;
  if (!APICallError.isInstance(error)) {
    return new AppError("upstream_error", undefined, { cause: error });
  }
  const status = error.statusCode ?? 0;
  if (status === 429) {
    return new AppError(
      "upstream_error",
      "The model provider limits requests right now. Try again later.",
      { cause: error },
    );
  }
  const isRejection = status >= 400 && status < 500 && !temporaryStatuses.has(status);
  return isRejection
    ? new AppError("upstream_rejected", rejections[status], { cause: error })
    : new AppError("upstream_error", undefined, { cause: error });
}

/** What a failure was, for the log: kinds, statuses and system codes, never a provider's text. */
export function describeCause(error: unknown): string {
  const parts: string[] = [];
  for (let inner = error, depth = 0; inner instanceof Error && depth < 5; depth++) {
    const { code, statusCode } = inner as { code?: unknown; statusCode?: unknown };
    const known = [code, statusCode].filter((value) => /^(string|number)$/.test(typeof value));
    parts.push([inner.name, ...known].join(" "));
    inner = inner.cause;
  }
  return parts.join(" < ");
}

/** Our own refusals (a guarded connection, the embedded model) arrive wrapped by the client. */
function findAppError(error: unknown): AppError | undefined {
  for (let inner = error, depth = 0; inner instanceof Error && depth < 5; depth++) {
    if (isAppError(inner)) return inner;
    inner = inner.cause;
  }
  return undefined;
}
