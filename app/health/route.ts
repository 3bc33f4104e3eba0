import { handler } from "#lib/api/handler.ts";
import { routes } from "#lib/api/routes.ts";
import { health } from "#lib/api/operation.ts";

export const GET = handler(routes.health, health);
