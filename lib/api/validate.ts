import type { z } from "zod";
import { AppError } from "../errors.ts";

/** Parses a value by its schema. @throws {AppError} `invalid_input` naming every field that is wrong. */
export function validate<S extends z.ZodType>(schema: S, value: unknown): z.output<S> {
  const parsed = schema.safeParse(value);
  if (parsed.success) return parsed.data;
  throw new AppError("invalid_input", undefined, { errors: parsed.error.issues.flatMap(describe) });
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
