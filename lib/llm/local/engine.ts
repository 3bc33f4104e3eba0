import type { ChatWrapper, Llama, LlamaContext, LlamaModel } from "node-llama-cpp";

import { SequencePool } from "./sequence-pool.ts";
import { defaultSystemPrompt } from "./system-prompt.ts";

export type EngineOptions = Readonly<{
  modelPath: string;
  /** Tokens a turn may hold, prompt and answer together. */
  contextSize: number;
  /** Turns that run at the same time; less where memory is short. */
  parallelTurns: number;
  threads: number;
  log: (line: string) => void;
}>;

/** The loaded model with its one context. */
export type Engine = Readonly<{
  model: LlamaModel;
  chatWrapper: ChatWrapper;
  /** What a conversation without a system prompt gets, where the template's own is not good. */
  systemPrompt: string | undefined;
  contextSize: number;
  sequences: SequencePool;
  dispose: () => Promise<void>;
}>;

/** One batch holds the prompt pieces of several turns; more brings nothing on a processor. */
const batchTokens = 256;

/**
 * Loads a model into llama.cpp, in this process, on the processor. The library is imported here and
 * not before, because the import alone costs 0.25 s and 45 MB, which a service that talks to
 * somebody else's model should not pay. Nothing is ever compiled or downloaded.
 *
 * @throws whatever the library throws when the file or the machine does not suit it.
 */
export async function openEngine(options: EngineOptions): Promise<Engine> {
  const library = await import("node-llama-cpp");
  const llama = await library.getLlama({
    gpu: false,
    build: "never",
    skipDownload: true,
    progressLogs: false,
    maxThreads: options.threads,
    logLevel: library.LlamaLogLevel.error,
    logger: (_level, message) => options.log(`llama.cpp: ${message.trim()}`),
  });
  try {
    const model = await llama.loadModel({ modelPath: options.modelPath });
    const context = await createContext(model, options);
    return {
      model,
      // The template in the file, rendered as it is: the library's own rendering of the same
      // format puts a second start token in front, which this model never saw.
      chatWrapper: library.resolveChatWrapper(model, {
        type: "jinjaTemplate",
        noJinja: true,
        warningLogs: false,
      }),
      systemPrompt: defaultSystemPrompt(model.fileInfo.metadata.general.name),
      contextSize: context.contextSize,
      sequences: new SequencePool(context),
      dispose: () => disposeAll(llama),
    };
  } catch (error) {
    await disposeAll(llama);
    throw error;
  }
}

/** Halves the number of parallel turns until the memory suffices. */
async function createContext(model: LlamaModel, options: EngineOptions): Promise<LlamaContext> {
  const contextSize = Math.min(options.contextSize, model.trainContextSize);
  for (let sequences = options.parallelTurns; ; sequences = Math.floor(sequences / 2)) {
    try {
      return await model.createContext({
        sequences,
        contextSize,
        batchSize: batchTokens,
        threads: options.threads,
      });
    } catch (error) {
      if (sequences <= 1) throw error;
    }
  }
}

/** Disposes the model and the context with it. */
async function disposeAll(llama: Llama): Promise<void> {
  await llama.dispose();
}
