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
  const code = oauthErrorOf(error);
  if (!code) return toProblemResponse(error);
  const description = error.errors?.map(({ path, message }) => `${path} ${message}`).join("; ");
  const text = description ?? error.message;
  const body: TokenError = { error: code, error_description: text, detail: text };
  const { status } = errorTable[code];
  return Response.json(body, { status, headers: errorHeaders(error) });
}

/** A grant type that is not ours has a code of its own, apart from fields that are missing or wrong. */
function oauthErrorOf({ code, errors = [] }: AppError): TokenError["error"] | undefined {
  const namesGrantType = errors.some(({ path }) => path === "grant_type");
  return namesGrantType ? "unsupported_grant_type" : oauthErrors[code];
}
