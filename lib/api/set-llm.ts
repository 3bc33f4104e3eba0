import { AppError } from "../errors.ts";
import { toPublicConfig, type LlmConfig, type Session } from "../llm/session.ts";
import type { Call } from "./handler.ts";
import type { routes } from "./routes.ts";
import type { SetLlmResponse } from "./schemas.ts";

type SetLlmCall = Call<typeof routes.setLlm>;

/** POST /set-llm */
export async function setLlm(call: SetLlmCall): Promise<SetLlmResponse> {
  const { body, services } = call;
  const existing =
    body.session_id === undefined
      ? undefined
      : await services.sessions.get(call.principal.userId, body.session_id);
  const config = await services.catalog.configure(body);
  refuseServerKey(call, config, existing);
  const session = await (existing ? reconfigure(call, existing, config) : create(call, config));
  const warning = services.catalog.missing(config, session.sealedApiKey !== null);
  return {
    session_id: session.id,
    message: `LLM session ${existing ? "updated" : "created"} successfully`,
    config: toPublicConfig(session),
    ...(warning !== undefined && { warning }),
  };
}

function create({ body, services, principal }: SetLlmCall, config: LlmConfig): Promise<Session> {
  const { api_key: apiKey, title } = body;
  return services.sessions.create({
    userId: principal.userId,
    config,
    title,
    ...(apiKey !== undefined && {
      sealApiKey: (sessionId) => services.sealer.seal(apiKey, sessionId),
    }),
  });
}

async function reconfigure(
  { body, services }: SetLlmCall,
  existing: Session,
  config: LlmConfig,
): Promise<Session> {
  const sealedApiKey =
    body.api_key === undefined
      ? keptKey(existing, config)
      : await services.sealer.seal(body.api_key, existing.id);
  return services.sessions.reconfigure(existing, { config, sealedApiKey, title: body.title });
}

/** A stored key stays with the provider and the base URL that it was given for. */
function keptKey(existing: Session, config: LlmConfig): string | null {
  const isSame =
    existing.config.provider === config.provider && existing.config.baseUrl === config.baseUrl;
  return isSame ? existing.sealedApiKey : null;
}

/** Where the server has a key for this provider, a base URL of one's own must come with a key of one's own. */
function refuseServerKey(
  { body, services }: SetLlmCall,
  config: LlmConfig,
  existing: Session | undefined,
): void {
  if (config.baseUrl === undefined || body.api_key !== undefined) return;
  if (existing && keptKey(existing, config) !== null) return;
  if (services.catalog.hasServerKey(config.provider)) {
    throw new AppError("api_key_required", undefined, {
      errors: [{ path: "api_key", message: "is required together with base_url" }],
    });
  }
}
