import type { z } from "zod";
import { AppError } from "../errors.ts";

/** More would make a small body into a large answer, and nobody mends more at once. */
const mostErrors = 20;

/** Parses a value by its schema. @throws {AppError} `invalid_input` naming the fields that are wrong. */
export function validate<S extends z.ZodType>(schema: S, value: unknown): z.output<S> {
  const parsed = schema.safeParse(value);
  if (parsed.success) return parsed.data;
  const errors = parsed.error.issues.flatMap(describe).slice(0, mostErrors);
  throw new AppError("invalid_input", undefined, { errors });
}

function describe(issue: z.core.$ZodIssue) {
  const path = issue.path.join(".");
  if (issue.code !== "unrecognized_keys")
    return [{ path: path || "(body)", message: issue.message }];
  return issue.keys.map((key) => ({
    path: path ? `${path}.${key}` : key,
    message: "is not a known field",
  }));
}
