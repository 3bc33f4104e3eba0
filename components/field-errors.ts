import type { z } from "zod";

export type FieldError = Readonly<{
  text: string;
  /** Typing on may mend it, so it is shown only once the field was left. */
  isUnfinished: boolean;
}>;

export type FieldErrors = Readonly<Record<string, FieldError>>;

export type Validated<T> =
  Readonly<{ value: T; errors: null }> | Readonly<{ value: null; errors: FieldErrors }>;

/**
 * Checks a form's candidate against the API's own schema. Each refused field gets one sentence that
 * begins with its label; a message that the schema brings itself goes before those made here.
 */
export function validateFields<T>(
  schema: z.ZodType<T>,
  candidate: unknown,
  labels: Readonly<Record<string, string>>,
): Validated<T> {
  const result = schema.safeParse(candidate, { error: wordsFor });
  if (result.success) return { value: result.data, errors: null };
  const errors: Record<string, FieldError> = {};
  for (const { path, message, code } of result.error.issues) {
    const name = path.join(".");
    errors[name] ??= {
      text: sentenceFor(labels[name] ?? name, message),
      isUnfinished: code === "too_small",
    };
  }
  return { value: null, errors };
}

/** Schemas say what a field must be without naming it; what is a sentence of its own stays as it is. */
export function sentenceFor(label: string, message: string): string {
  return /^\p{Ll}/u.test(message) ? `${label} ${message}.` : message;
}

function wordsFor(issue: z.core.$ZodRawIssue): string | undefined {
  switch (issue.code) {
    case "too_small":
      if (issue.origin === "string") return "must not be empty";
      return `must be ${issue.inclusive ? "at least" : "more than"} ${issue.minimum}`;
    case "too_big":
      if (issue.origin === "string") return `must have at most ${issue.maximum} characters`;
      return `must be ${issue.inclusive ? "at most" : "less than"} ${issue.maximum}`;
    case "invalid_type":
      if (issue.input === undefined) return "is missing";
      if (issue.expected === "int") return "must be a whole number";
      return issue.expected === "number" ? "must be a number" : undefined;
    default:
      return undefined;
  }
}
