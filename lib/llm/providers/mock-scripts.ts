import type { JSONObject, LanguageModelV4Prompt } from "@ai-sdk/provider";

import { AppError } from "#lib/errors.ts";

/** What a script does next. A delta and a tool call count as one token each. */
export type MockStep =
  | Readonly<{ kind: "text" | "reasoning"; delta: string }>
  /** With a `result` the provider ran the tool itself; without, the client is asked to. */
  | Readonly<{ kind: "tool-call"; toolName: string; input: string; result?: JSONObject }>
  | Readonly<{ kind: "stall" }>
  | Readonly<{ kind: "error" }>;

/** One option of a script, as it stands in a model name. An integer lies between 0 and `maximum`. */
export type MockOption = IntegerOption | TextOption;

type IntegerOption = Readonly<{
  name: string;
  summary: string;
  type: "integer";
  default: number;
  maximum: number;
}>;

type TextOption = Readonly<{
  name: string;
  summary: string;
  type: "text" | "JSON object";
  default: string;
}>;

/** The options' values, given or default. */
export type MockSettings = Readonly<{
  text: string;
  input: string;
  after: number;
  tokens: number;
  delayMs: number;
  firstDelayMs: number;
}>;

/** What a script can see of the call. */
export type MockScene = Readonly<{
  settings: MockSettings;
  prompt: LanguageModelV4Prompt;
  /** The function tools that the call offers and lets the model choose from. */
  toolNames: readonly string[];
  mayCallTools: boolean;
}>;

export type MockScript = Readonly<{
  name: string;
  summary: string;
  options: readonly MockOption[];
  play(scene: MockScene): Iterable<MockStep>;
}>;

const textOption: TextOption = {
  name: "text",
  summary: "the answer",
  type: "text",
  default: "Hello from the mock model.",
};

const inputOption: TextOption = {
  name: "input",
  summary: "the tool's arguments",
  type: "JSON object",
  default: '{"city":"Oslo"}',
};

const afterOption: IntegerOption = {
  name: "after",
  summary: "how many tokens come before that: 1 2 3 ...",
  type: "integer",
  default: 0,
  maximum: 100_000,
};

const tokensOption: IntegerOption = {
  name: "tokens",
  summary: "how many tokens the answer has",
  type: "integer",
  default: 1000,
  maximum: 100_000,
};

const delayOption: IntegerOption = {
  name: "delay_ms",
  summary: "the time before each token",
  type: "integer",
  default: 0,
  maximum: 60_000,
};

const firstDelayOption: IntegerOption = {
  name: "first_delay_ms",
  summary: "additional time before the first token",
  type: "integer",
  default: 0,
  maximum: 600_000,
};

/** The options that every script has. */
export const commonMockOptions: readonly MockOption[] = [delayOption, firstDelayOption];

/**
 * Every script, for the documentation as well as for the model. A model name is
 * `<script>?<option>=<value>&<option>=<value>`, values encoded as in a URL's query; without a script
 * it is `echo`.
 */
export const mockScripts: readonly MockScript[] = [
  {
    name: "echo",
    summary: "says the last user message back, word by word",
    options: [],
    play: ({ prompt }) => words(lastUserText(prompt)),
  },
  {
    name: "fixed",
    summary: "says a given text, word by word",
    options: [textOption],
    play: ({ settings }) => words(settings.text),
  },
  {
    name: "reasoning",
    summary: "reasons in parts of their own, then answers",
    options: [],
    play: () => [
      ...words("The user wants an answer. A short one will do.", "reasoning"),
      ...words("Forty-two."),
    ],
  },
  {
    name: "think-tags",
    summary: "reasons between <think> and </think> in its text, the tags cut over deltas",
    options: [],
    play: () => deltas(["<", "thi", "nk>A", " short", " one.<", "/th", "ink", ">Forty", "-two."]),
  },
  {
    name: "tool-call",
    summary:
      "calls the first tool that the request offers, and quotes its result in the next request; if none is offered, runs get_weather itself and tells the result",
    options: [inputOption],
    play: callTool,
  },
  {
    name: "split-character",
    summary: "says emoji and CJK one UTF-16 unit a delta, so that deltas end inside characters",
    options: [],
    play: () => deltas("Hi 👋🏽 世界 👩‍👩‍👧 𠮷野家!".split("")),
  },
  {
    name: "stall",
    summary: "falls silent until it is aborted",
    options: [afterOption],
    play: ({ settings }) => numbers(settings.after, { kind: "stall" }),
  },
  {
    name: "error",
    summary: "fails as a provider does with status 500",
    options: [afterOption],
    play: ({ settings }) => numbers(settings.after, { kind: "error" }),
  },
  {
    name: "long",
    summary: "counts: 1 2 3 ...",
    options: [tokensOption],
    play: ({ settings }) => numbers(settings.tokens),
  },
];

/**
 * Reads a model name.
 *
 * @throws AppError `invalid_input` for the field `model_name`, naming what is possible, for an
 * unknown script, an unknown or repeated option and an impossible value.
 */
export function parseMockModelName(modelName: string): {
  script: MockScript;
  settings: MockSettings;
} {
  const queryStart = modelName.indexOf("?");
  const name = queryStart === -1 ? modelName : modelName.slice(0, queryStart);
  const script = mockScripts.find((candidate) => candidate.name === (name || "echo"));
  if (script === undefined) {
    throw invalid(`There is no mock script "${name}". There are: ${namesOf(mockScripts)}.`);
  }
  const given = new URLSearchParams(queryStart === -1 ? "" : modelName.slice(queryStart + 1));
  checkOptions(script, given);
  const settings = {
    text: given.get(textOption.name) ?? textOption.default,
    input: jsonObject(inputOption, given),
    after: integer(afterOption, given),
    tokens: integer(tokensOption, given),
    delayMs: integer(delayOption, given),
    firstDelayMs: integer(firstDelayOption, given),
  };
  return { script, settings };
}

function checkOptions(script: MockScript, given: URLSearchParams): void {
  const known = [...script.options, ...commonMockOptions];
  for (const name of given.keys()) {
    if (!known.some((option) => option.name === name)) {
      throw invalid(`"${script.name}" has no option "${name}". It has: ${namesOf(known)}.`);
    }
    if (given.getAll(name).length > 1) throw invalid(`The option "${name}" is given twice.`);
  }
}

function integer({ name, default: byDefault, maximum }: IntegerOption, given: URLSearchParams) {
  const value = given.get(name);
  if (value === null) return byDefault;
  if (!/^\d{1,9}$/.test(value) || Number(value) > maximum) {
    throw invalid(`The option "${name}" is a whole number from 0 to ${maximum}.`);
  }
  return Number(value);
}

function jsonObject({ name, default: byDefault }: TextOption, given: URLSearchParams): string {
  const value = given.get(name) ?? byDefault;
  if (!isJsonObject(value)) throw invalid(`The option "${name}" is a JSON object.`);
  return value;
}

function isJsonObject(text: string): boolean {
  try {
    const value: unknown = JSON.parse(text);
    return typeof value === "object" && value !== null && !Array.isArray(value);
  } catch {
    return false;
  }
}

function invalid(message: string): AppError {
  return new AppError("invalid_input", message, { errors: [{ path: "model_name", message }] });
}

function namesOf(named: readonly { name: string }[]): string {
  return named.map(({ name }) => name).join(", ");
}

function deltas(parts: readonly string[], kind: "text" | "reasoning" = "text"): MockStep[] {
  return parts.map((delta) => ({ kind, delta }));
}

/** One delta a word, the white space before it included, so that together they are the text. */
function words(text: string, kind: "text" | "reasoning" = "text"): MockStep[] {
  return deltas(text.match(/\s*\S+(?:\s+$)?|\s+/g) ?? [], kind);
}

function* numbers(count: number, ...then: readonly MockStep[]): Generator<MockStep> {
  for (let number = 1; number <= count; number += 1) {
    yield { kind: "text", delta: number === 1 ? "1" : ` ${number}` };
  }
  yield* then;
}

function* callTool({ settings, ...scene }: MockScene): Generator<MockStep> {
  const { prompt, toolNames, mayCallTools } = scene;
  const { input } = settings;
  const last = prompt.at(-1);
  const [toolName] = toolNames;
  if (last?.role === "tool") {
    const result = last.content.find((part) => part.type === "tool-result");
    yield* words(`The tool answered ${JSON.stringify(result?.output)}.`);
  } else if (!mayCallTools) {
    yield* words("The request permits no tool.");
  } else if (toolName !== undefined) {
    yield { kind: "tool-call", toolName, input };
  } else {
    yield { kind: "tool-call", toolName: "get_weather", input, result: { weather: "sunny" } };
    yield* words("The weather is sunny.");
  }
}

function lastUserText(prompt: LanguageModelV4Prompt): string {
  const message = prompt.findLast(({ role }) => role === "user");
  return message === undefined ? "" : textOf(message);
}

/** The text of a message, without its files, reasoning and tool calls. */
export function textOf({ content }: LanguageModelV4Prompt[number]): string {
  if (typeof content === "string") return content;
  return content.map((part) => (part.type === "text" ? part.text : "")).join("");
}
