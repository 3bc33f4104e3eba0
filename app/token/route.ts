import { handler } from "#lib/api/handler.ts";
import { toOAuthErrorResponse } from "#lib/api/oauth-error.ts";
import { routes } from "#lib/api/routes.ts";
import { issueToken } from "#lib/api/accounts.ts";

export const POST = handler(routes.token, issueToken, { encodeError: toOAuthErrorResponse });
