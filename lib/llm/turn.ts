import type { LanguageModelV4 } from "@ai-sdk/provider";
import type { ModelParameters } from "../api/schemas.ts";
import { toAppError } from "../errors.ts";
import { Answer } from "./answer.ts";
import { AnswerSaver } from "./answer-saver.ts";
import { keepTrying } from "./keep-trying.ts";
import type {
  BegunTurn,
  MessageStore,
  NewUserMessage,
  StoredUserMessage,
} from "./message-store.ts";
import { ModelStream, type ModelTimeouts } from "./model-stream.ts";
import { describeCause } from "./providers/upstream-error.ts";
import { log, logError } from "../log.ts";
import { loadPrompt, toCall, type Prompt } from "./prompt.ts";
import type { Session } from "./session.ts";
import { Stopwatch } from "./stopwatch.ts";
import { countTokens } from "./tokens.ts";
import type { TurnEnd, TurnEvent, TurnEventBody, TurnFailure, TurnStart } from "./turn-event.ts";
import { describeFailure, judge, type Ending } from "./turn-ending.ts";

export type TurnLimits = ModelTimeouts &
  Readonly<{
    maxHistoryTokens: number;
    /** A provider that writes more is cut off, and the answer ends with `length`. */
    maxAnswerBytes: number;
  }>;

export type TurnOptions = Readonly<{
  session: Session;
  /** A new message, or the stored one that is answered again. */
  message: NewUserMessage | StoredUserMessage;
  model: LanguageModelV4;
  /** Overrides of the session's parameters, for this turn only. */
  parameters?: ModelParameters | undefined;
  store: MessageStore;
  limits: TurnLimits;
  /** Ends the turn; its reason is a TurnAbort that says why. */
  signal: AbortSignal;
  /** The number of the turn's first event. */
  firstSeq: number;
  /** When the message arrived, on the clock of `performance.now()`. */
  receivedAtMs: number;
}>;

/**
 * One chat turn, the same for every door.
 *
 * The user's message is on disk before the model is called and before the first event. The answer
 * is kept however the turn ends, with a status that says how. The last event, exactly one
 * `turn-end` or `turn-error`, comes after the answer is on disk. Iterate it to its end.
 *
 * Throws only before the first event, when nothing was written and so there was no turn.
 *
 * @throws {AppError} `not_found`, `turn_in_progress` or `storage_unavailable`.
 */
export async function* runTurn(options: TurnOptions): AsyncGenerator<TurnEvent, void> {
  const { session, message, model, store, limits, signal, firstSeq } = options;
  const { provider, modelName } = session.config;
  const begun = await store.beginTurn({
    session,
    userMessage: message,
    provider,
    model: modelName,
  });
  let seq = firstSeq;
  const number = (body: TurnEventBody): TurnEvent => ({
    seq: seq++,
    turnId: begun.messageId,
    ...body,
  });
  yield number(describeStart(session, begun));

  const progress: Progress = {
    answer: new Answer(),
    stopwatch: new Stopwatch(options.receivedAtMs),
    prompt: { messages: [], tokens: 0, omittedMessages: 0 },
    stream: undefined,
  };
  const { answer, stopwatch } = progress;
  const saver = new AnswerSaver(store, begun.messageId, answer);
  let failure: unknown;
  try {
    progress.prompt = await loadPrompt(session, begun.userMessage.id, options);
    const call = toCall(session, progress.prompt.messages, options.parameters);
    progress.stream = new ModelStream({ model, call, signal, timeouts: limits });
    for await (const part of progress.stream) {
      for (const body of answer.accept(part)) {
        stopwatch.token();
        yield number(body);
      }
      if (answer.sizeBytes > limits.maxAnswerBytes) {
        answer.finishReason = "length";
        break;
      }
    }
  } catch (error) {
    failure = error;
  } finally {
    saver.stop();
  }
  for (const body of answer.flush()) {
    stopwatch.token();
    yield number(body);
  }
  yield number(await finish(options, begun, { ...progress, failure, lastSeq: seq }));
}

type Progress = {
  readonly answer: Answer;
  readonly stopwatch: Stopwatch;
  prompt: Prompt;
  stream: ModelStream | undefined;
};

type Outcome = Progress & Readonly<{ failure: unknown; lastSeq: number }>;

const notStoredText = "The answer could not be stored yet. Copy it if you need it at once.";

/** Makes the whole answer durable and tells how the turn ended. */
async function finish(
  { session, store }: TurnOptions,
  begun: BegunTurn,
  outcome: Outcome,
): Promise<TurnEnd | TurnFailure> {
  const { answer, prompt } = outcome;
  const ending = judge(outcome.failure, answer);
  if (ending.failure) {
    log("warn", "turn-failed", {
      sessionId: session.id,
      turnId: begun.messageId,
      code: ending.failure.code,
      cause: describeCause(outcome.failure),
    });
  }
  const usage = await answer.usage(prompt.tokens, prompt.omittedMessages);
  const timings = outcome.stopwatch.read(usage.completion_tokens, outcome.stream?.waitedMs ?? 0);
  const cost = priceOf(session);
  const columns = {
    ...(await toColumns(answer, ending)),
    usage_json: JSON.stringify(usage),
    timings_json: JSON.stringify(timings),
    cost,
    lastSeq: outcome.lastSeq,
  };
  const keep = () => store.finishTurn(session.id, begun.messageId, columns);
  try {
    await keep();
  } catch (error) {
    logError("answer-not-stored", error, { sessionId: session.id, turnId: begun.messageId });
    void keepTrying(keep);
    return describeFailure({ code: toAppError(error).code, message: notStoredText });
  }
  const { finishReason, failure } = ending;
  return failure ?? { type: "turn-end", finishReason, usage, cost, timings };
}

async function toColumns(answer: Answer, ending: Ending) {
  return {
    content: answer.text,
    reasoning: answer.reasoning === "" ? null : answer.reasoning,
    tool_calls_json: answer.toolCalls.length > 0 ? JSON.stringify(answer.toolCalls) : null,
    status: ending.status,
    token_count: await countTokens(answer.text),
    finish_reason: ending.finishReason,
    error_code: ending.failure?.code ?? null,
  };
}

function describeStart({ config }: Session, begun: BegunTurn): TurnStart {
  const { id, parentId, text, clientId } = begun.userMessage;
  return {
    type: "turn-start",
    userMessage: { id, parentId, text, ...(clientId !== undefined && { clientId }) },
    messageId: begun.messageId,
    provider: config.provider,
    model: config.modelName,
    createdAt: new Date(begun.createdAtMs).toISOString(),
  };
}

/** What runs on this machine costs nothing; other prices are not known yet. */
function priceOf({ config }: Session): number | null {
  return config.provider === "local" || config.provider === "mock" ? 0 : null;
}
