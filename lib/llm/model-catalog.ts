import type { LanguageModelV4 } from "@ai-sdk/provider";
import type { ModelParameters, SetLlmRequest } from "../api/schemas.ts";
import type { Env } from "../env.ts";
import { AppError, isAppError, StartupError, type FieldError } from "../errors.ts";
import type { ProviderId } from "../provider-ids.ts";
import { checkBaseUrl } from "./providers/base-url.ts";
import { parseMockModelName } from "./providers/mock-scripts.ts";
import { localParameters, providers, type Provider } from "./providers/providers.ts";
import type { LlmConfig } from "./session.ts";
import { countTokens } from "./tokens.ts";

/** The embedded model as the catalog sees it. */
export type LocalModel = Readonly<{
  modelId: string;
  status: () => Readonly<{ status: "off" | "preparing" | "ready" | "failed"; detail?: string }>;
  languageModel: () => LanguageModelV4;
}>;

export type ModelCatalogOptions = Readonly<{
  env: Env;
  local: LocalModel;
  /** Opens connections to base URLs that a user chose. */
  guardedFetch: typeof fetch;
}>;

/** Which models there are, which one answers by default, and how each is called. */
export class ModelCatalog {
  readonly #env: Env;
  readonly #local: LocalModel;
  readonly #guardedFetch: typeof fetch;

  constructor({ env, local, guardedFetch }: ModelCatalogOptions) {
    this.#env = env;
    this.#local = local;
    this.#guardedFetch = guardedFetch;
  }

  get local(): LocalModel {
    return this.#local;
  }

  /** LLM_PROVIDER, else the first provider with a key or base URL, else local, else mock. */
  get defaultProvider(): ProviderId {
    const standIn = ["off", "failed"].includes(this.#local.status().status) ? "mock" : "local";
    return this.#configuredProvider ?? standIn;
  }

  /** Whether the embedded model is the one that answers by default, if it can be had. */
  get wantsLocalModel(): boolean {
    return (this.#configuredProvider ?? "local") === "local";
  }

  get #configuredProvider(): ProviderId | undefined {
    const env = this.#env;
    if (env.LLM_PROVIDER !== undefined) return env.LLM_PROVIDER;
    if (env.OPENAI_API_KEY !== undefined) return "openai";
    return env.LLM_BASE_URL === undefined ? undefined : "openai-compatible";
  }

  /**
   * The configuration of a session that nobody configured. LLM_MODEL names a model of the provider
   * that was chosen, so it does not count where local or mock stand in for one.
   */
  get defaultConfig(): LlmConfig {
    const provider = this.defaultProvider;
    const isChosen = this.#env.LLM_PROVIDER !== undefined || !isStandIn(provider);
    const named = isChosen ? this.#env.LLM_MODEL : undefined;
    return {
      provider,
      modelName: named ?? this.#defaultModel(provider) ?? "default",
      parameters: {},
      systemPromptTokens: 0,
    };
  }

  /** @throws {StartupError} when LLM_MODEL names nothing that LLM_PROVIDER has. */
  checkDefault(): void {
    const { provider, modelName } = this.defaultConfig;
    const [problem] = this.#checkModel(provider, modelName);
    if (problem) throw new StartupError(`LLM_MODEL: ${problem.message}.`);
  }

  /**
   * Checks a configuration against what its provider takes.
   *
   * @throws {AppError} `invalid_input` naming each field, or `invalid_base_url`.
   */
  async configure(request: SetLlmRequest): Promise<LlmConfig> {
    const { model_name, provider: named, base_url, system_prompt } = request;
    const provider = named ?? this.#findProvider(model_name, base_url);
    const parameters = pickParameters(request);
    const errors = [
      ...refuseParameters(provider, this.#parameters(provider), parameters),
      ...this.#checkModel(provider, model_name),
    ];
    if (base_url !== undefined && !this.#row(provider)?.takesBaseUrl) {
      errors.push({ path: "base_url", message: `is not used by the provider ${provider}` });
    }
    if (errors.length > 0) throw new AppError("invalid_input", undefined, { errors });
    return {
      provider,
      modelName: model_name,
      parameters,
      systemPromptTokens: system_prompt ? await countTokens(system_prompt) : 0,
      ...(base_url !== undefined && {
        baseUrl: checkBaseUrl(base_url, this.#env.LLM_ALLOWED_HOSTS),
      }),
      ...(system_prompt !== undefined && { systemPrompt: system_prompt }),
    };
  }

  /**
   * Checks what a turn overrides against what its session's provider takes.
   *
   * @throws {AppError} `invalid_input` naming each field, as `under.name`.
   */
  checkOverrides({ provider }: LlmConfig, parameters: ModelParameters, under: string): void {
    const errors = refuseParameters(provider, this.#parameters(provider), parameters).map(
      ({ path, message }) => ({ path: `${under}.${path}`, message }),
    );
    if (errors.length > 0) throw new AppError("invalid_input", undefined, { errors });
  }

  /** What is still missing before the configuration can answer, as a sentence; undefined when nothing is. */
  missing(config: LlmConfig, hasApiKey: boolean): string | undefined {
    const row = this.#row(config.provider);
    if (!row) return undefined;
    if (config.provider === "openai-compatible" && this.#baseUrl(config) === undefined) {
      return "No base URL is configured. Send base_url with /set-llm, or set LLM_BASE_URL on the server.";
    }
    if (row.keyOptional || hasApiKey || this.#serverKey(config) !== undefined) return undefined;
    return `No key is configured for ${row.label}. Send api_key with /set-llm, or set ${row.keyVariable} on the server.`;
  }

  /**
   * Makes the model of a configuration. The server's own key goes to the server's own base URL
   * only, never to one that a user chose.
   *
   * @throws {AppError} `provider_not_configured`
   */
  open(config: LlmConfig, apiKey: string | undefined): LanguageModelV4 {
    const missing = this.missing(config, apiKey !== undefined);
    if (missing !== undefined) throw new AppError("provider_not_configured", missing);
    const row = this.#row(config.provider);
    if (!row) return this.#local.languageModel();
    return row.createModel({
      modelName: config.modelName,
      apiKey: apiKey ?? this.#serverKey(config),
      baseUrl: this.#baseUrl(config),
      fetch: config.baseUrl === undefined ? globalFetch : this.#guardedFetch,
    });
  }

  #findProvider(modelName: string, baseUrl: string | undefined): ProviderId {
    if (baseUrl !== undefined) return "openai-compatible";
    if (modelName === this.#local.modelId) return "local";
    const known = Object.entries(providers).find(([, row]) => row.modelPattern?.test(modelName));
    return (known?.[0] as ProviderId | undefined) ?? this.defaultProvider;
  }

  #checkModel(provider: ProviderId, modelName: string): readonly FieldError[] {
    if (provider === "mock") return checkMockModel(modelName);
    if (provider !== "local" || modelName === this.#local.modelId) return [];
    return [
      {
        path: "model_name",
        message: `is not known here: the embedded model is ${this.#local.modelId}; for any other, name its provider`,
      },
    ];
  }

  #row(provider: ProviderId): Provider | undefined {
    return provider === "local" ? undefined : providers[provider];
  }

  #parameters(provider: ProviderId): Provider["parameters"] {
    return this.#row(provider)?.parameters ?? localParameters;
  }

  #defaultModel(provider: ProviderId): string | undefined {
    return provider === "local" ? this.#local.modelId : providers[provider].defaultModel;
  }

  #baseUrl(config: LlmConfig): string | undefined {
    if (config.baseUrl !== undefined) return config.baseUrl;
    return config.provider === "openai-compatible" ? this.#env.LLM_BASE_URL : undefined;
  }

  /** Whether the operator configured a key for this provider. */
  hasServerKey(provider: ProviderId): boolean {
    const variable = this.#row(provider)?.keyVariable;
    return variable !== undefined && this.#env[variable] !== undefined;
  }

  #serverKey(config: LlmConfig): string | undefined {
    const variable = this.#row(config.provider)?.keyVariable;
    return config.baseUrl === undefined && variable ? this.#env[variable] : undefined;
  }
}

function checkMockModel(modelName: string): readonly FieldError[] {
  try {
    parseMockModelName(modelName);
    return [];
  } catch (error) {
    if (isAppError(error) && error.errors) return error.errors;
    throw error;
  }
}

function isStandIn(provider: ProviderId): boolean {
  return provider === "local" || provider === "mock";
}

function pickParameters(request: SetLlmRequest): ModelParameters {
  const {
    model_name: _,
    provider,
    base_url,
    api_key,
    system_prompt,
    session_id,
    title,
    ...rest
  } = request;
  return rest;
}

/** What to say of each parameter that the provider does not take. */
function refuseParameters(
  provider: ProviderId,
  taken: Provider["parameters"],
  parameters: ModelParameters,
): FieldError[] {
  return (Object.keys(parameters) as (keyof ModelParameters)[])
    .filter((name) => !taken.has(name))
    .map((name) => ({ path: name, message: `is not taken by the provider ${provider}` }));
}

const globalFetch: typeof fetch = (input, init) => fetch(input, init);
