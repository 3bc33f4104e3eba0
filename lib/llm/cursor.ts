import { AppError } from "../errors.ts";

/** What a list answers to a cursor that it never gave. */
export function refuseCursor(): AppError {
  return new AppError("invalid_input", undefined, {
    errors: [{ path: "cursor", message: "is not a cursor of this list" }],
  });
}
