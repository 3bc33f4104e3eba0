import { errorTable, type AppError, type ErrorCode } from "../errors.ts";
import { errorHeaders, toProblemResponse } from "./problem.ts";
import type { TokenError } from "./schemas.ts";

const oauthErrors: Partial<Record<ErrorCode, TokenError["error"]>> = {
  invalid_grant: "invalid_grant",
  unsupported_grant_type: "unsupported_grant_type",
  invalid_request: "invalid_request",
  invalid_input: "invalid_request",
  bad_request: "invalid_request",
};

/** Encodes an error of the token endpoint (RFC 6749, section 5.2); what that does not know is a problem document. */
export function toOAuthErrorResponse(error: AppError): Response {
  const code = oauthErrors[error.code];
  if (!code) return toProblemResponse(error);
  const description = error.errors?.map(({ path, message }) => `${path} ${message}`).join("; ");
  const text = description ?? error.message;
  const body: TokenError = { error: code, error_description: text, detail: text };
  const status = code === "invalid_request" ? 400 : errorTable[error.code].status;
  return Response.json(body, { status, headers: errorHeaders(error) });
}
