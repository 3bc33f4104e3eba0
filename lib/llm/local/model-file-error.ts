/** Why there is no model file: the operator's setting is wrong, the folder cannot be used, or no source gave it. */
export type ModelFileErrorCode = "local_model_invalid" | "model_dir_unusable" | "model_unavailable";

/** What one source answered, in words for the log. */
export type FailedAttempt = Readonly<{ source: string; problem: string }>;

/**
 * A start-up error: its message is for the operator, so it may hold paths and never goes to a client.
 * Recognise it by `code`, as two module graphs may hold this class.
 */
export class ModelFileError extends Error {
  override readonly name = "ModelFileError";
  readonly code: ModelFileErrorCode;
  readonly attempts: readonly FailedAttempt[];

  constructor(
    code: ModelFileErrorCode,
    message: string,
    options: Readonly<{ cause?: unknown; attempts?: readonly FailedAttempt[] }> = {},
  ) {
    super(message, { cause: options.cause });
    this.code = code;
    this.attempts = options.attempts ?? [];
  }
}

/** A source that could not give the file. Caught by {@link obtainModelFile}, which tries the next one. */
export class SourceError extends Error {
  override readonly name = "SourceError";
}

/**
 * What went wrong, in words: `fetch failed` says nothing, its cause says which host did not answer.
 * A SourceError says it itself.
 */
export function describeProblem(error: unknown): string {
  let current = error;
  while (!(current instanceof SourceError) && current instanceof Error) {
    const inner: unknown = current instanceof AggregateError ? current.errors[0] : current.cause;
    if (!(inner instanceof Error)) break;
    current = inner;
  }
  return current instanceof Error ? current.message || current.name : String(current);
}
