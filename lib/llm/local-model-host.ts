import type { LanguageModelV4 } from "@ai-sdk/provider";
import type { Env } from "../env.ts";
import { AppError, StartupError } from "../errors.ts";
import { log, logError } from "../log.ts";
import type { EmbeddedModel } from "./local/embedded-model.ts";
import type { LocalModel } from "./model-catalog.ts";

const defaultModelId = "smollm2-135m-instruct";

/**
 * Gets the embedded model ready when it is first wanted, and says how far that is. Its runtime is
 * imported only then: a service that uses another provider never pays for it.
 */
export class LocalModelHost implements LocalModel {
  readonly modelId: string;
  readonly #env: Env;
  readonly #disposed = new AbortController();
  #status: ReturnType<LocalModel["status"]> = { status: "off" };
  #preparing: Promise<EmbeddedModel> | undefined;

  constructor(env: Env) {
    this.#env = env;
    this.modelId = env.LOCAL_MODEL === undefined ? defaultModelId : modelIdFrom(env.LOCAL_MODEL);
  }

  status(): ReturnType<LocalModel["status"]> {
    return this.#status;
  }

  /**
   * Fetches the weights if they are not there yet. Resolves to whether they are: a failure is
   * logged and kept as the status, and does not stop the service.
   *
   * @throws {StartupError} when LOCAL_MODEL names something that cannot be used.
   */
  async prepare(): Promise<boolean> {
    try {
      await this.#prepareOnce();
      return true;
    } catch (error) {
      if (this.#env.LOCAL_MODEL === undefined) return false;
      throw new StartupError(error instanceof Error ? error.message : String(error), {
        cause: error,
      });
    }
  }

  /** A model that waits for the weights at its first call. */
  languageModel(): LanguageModelV4 {
    const ready = async () => {
      const embedded = await this.#prepareOnce().catch((cause: unknown) => {
        throw new AppError("model_unavailable", undefined, { cause });
      });
      return embedded.languageModel();
    };
    return {
      specificationVersion: "v4",
      provider: "local",
      modelId: this.modelId,
      supportedUrls: {},
      doGenerate: async (options) => (await ready()).doGenerate(options),
      doStream: async (options) => (await ready()).doStream(options),
    };
  }

  /** Ends a download that is under way and frees the model's memory. */
  async dispose(): Promise<void> {
    this.#disposed.abort(new AppError("shutting_down"));
    const embedded = await this.#preparing?.catch(() => undefined);
    await embedded?.dispose();
  }

  #prepareOnce(): Promise<EmbeddedModel> {
    this.#preparing ??= this.#create().catch((error: unknown) => {
      this.#preparing = undefined;
      this.#status = { status: "failed", detail: "The embedded model could not be made ready." };
      logError("local-model-failed", error);
      throw error;
    });
    return this.#preparing;
  }

  async #create(): Promise<EmbeddedModel> {
    this.#status = { status: "preparing" };
    const [{ obtainModelFile }, { createEmbeddedModel }] = await Promise.all([
      import("./local/model-file.ts"),
      import("./local/embedded-model.ts"),
    ]);
    const file = await obtainModelFile({
      localModel: this.#env.LOCAL_MODEL,
      modelDir: this.#env.modelDir,
      signal: this.#disposed.signal,
    });
    const embedded = createEmbeddedModel({
      modelPath: file.path,
      modelId: this.modelId,
      log: (line) => log("info", "local-model", { line }),
    });
    await embedded.load();
    this.#status = { status: "ready" };
    log("info", "local-model-ready", { model: this.modelId });
    return embedded;
  }
}

/** The file's name without its folder and ending: what people call a model. */
function modelIdFrom(reference: string): string {
  return (reference.split(/[\\/:]/).at(-1) ?? reference).replace(/\.gguf$/i, "");
}
