import { handler } from "#lib/api/handler.ts";
import { routes } from "#lib/api/routes.ts";
import { chat } from "#lib/api/chat.ts";

export const POST = handler(routes.chat, chat);
