import { register } from "#lib/api/accounts.ts";
import { handler } from "#lib/api/handler.ts";
import { routes } from "#lib/api/routes.ts";

export const POST = handler(routes.register, register);
