import { handler } from "#lib/api/handler.ts";
import { routes } from "#lib/api/routes.ts";
import { setLlm } from "#lib/api/set-llm.ts";

export const POST = handler(routes.setLlm, setLlm);
