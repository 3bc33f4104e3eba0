import { ProviderId, type SessionConfig, type SetLlmRequest } from "#lib/api/schemas.ts";

/** The label of each field; also the list of those that an error of the API can be shown at. */
export const settingsLabels = {
  provider: "Provider",
  model_name: "Model",
  base_url: "Base URL",
  api_key: "API key",
  system_prompt: "System prompt",
  temperature: "Temperature",
  top_p: "Top p",
  max_tokens: "Most tokens",
} as const satisfies Partial<Record<keyof SetLlmRequest, string>>;

const providerNames: Partial<Record<string, string>> = {
  openai: "OpenAI",
  "openai-compatible": "OpenAI-compatible server",
  local: "Embedded model",
  mock: "Simulated replies (mock)",
};

/** Every provider that the API takes, by the name people know it by. */
export const providerChoices = ProviderId.options.map((id) => ({
  id,
  name: providerNames[id] ?? id,
}));

const numberFields: ReadonlySet<string> = new Set(["temperature", "top_p", "max_tokens"]);
const exactFields: ReadonlySet<string> = new Set(["system_prompt"]);

export type ConfiguredSession = Readonly<{ id: string; config: SessionConfig }>;

/**
 * A request as the form has it, for the schema to judge. What was left empty is left out, but the
 * model. Of a session that is reconfigured, what the form does not show stays as it is.
 */
export function readSettings(
  fields: FormData,
  session: ConfiguredSession | null,
): Record<string, unknown> {
  const request: Record<string, unknown> = { ...keptFrom(session), model_name: "" };
  for (const [name, value] of fields) {
    const text = typeof value === "string" ? value : "";
    if (text.trim() === "") continue;
    if (numberFields.has(name)) request[name] = Number(text.trim().replace(",", "."));
    else request[name] = exactFields.has(name) ? text : text.trim();
  }
  return request;
}

function keptFrom(session: ConfiguredSession | null): Record<string, unknown> {
  if (session === null) return {};
  const { api_key_set: _isKeySet, ...config } = session.config;
  const kept = Object.entries(config).filter(([name]) => !(name in settingsLabels));
  return { ...Object.fromEntries(kept), session_id: session.id };
}
