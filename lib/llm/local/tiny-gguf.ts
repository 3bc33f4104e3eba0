import { writeFile } from "node:fs/promises";

/**
 * A model file of some 300 KB for tests, which llama.cpp loads in milliseconds. It is a real llama
 * with a byte-level vocabulary and a ChatML template, in one of two kinds:
 *
 * - with a `script`, it answers every prompt with these pieces in order and then ends its answer
 *   (or starts over): each piece is a token of its own whose embedding points at the next one, and
 *   its attention is zero. No piece may appear twice or be a single byte.
 * - without, its weights are pseudo-random, so that every token depends on all before it.
 */
export type TinyGgufOptions = Readonly<{
  script?: readonly (string | Uint8Array)[];
  /** Starts the script over instead of ending the answer. */
  repeats?: boolean;
  contextLength?: number;
}>;

/** Writes the model to `path`. */
export async function writeTinyGguf(path: string, options: TinyGgufOptions = {}): Promise<void> {
  await writeFile(path, buildTinyGguf(options));
}

const dimensions = 64;
const heads = 2;
const alignment = 32;
const controlType = 3;
const userDefinedType = 4;
const normalType = 1;
const startToken = 256;
const endToken = 257;
const firstScriptToken = 258;
const newline = 10;

const chatTemplate =
  "{% for message in messages %}{{'<|im_start|>' + message['role'] + '\n' + message['content'] + '<|im_end|>' + '\n'}}{% endfor %}{% if add_generation_prompt %}{{ '<|im_start|>assistant\n' }}{% endif %}";

export function buildTinyGguf(options: TinyGgufOptions = {}): Buffer {
  const script = options.script ?? [];
  const vocabulary = buildVocabulary(script);
  const metadata = buildMetadata(vocabulary, options.contextLength ?? 512);
  const tensors =
    script.length > 0 ? scriptedTensors(script.length, options) : randomTensors(vocabulary.length);
  return serialize(metadata, tensors);
}

type VocabularyEntry = Readonly<{ text: string; type: number }>;

function buildVocabulary(script: readonly (string | Uint8Array)[]): readonly VocabularyEntry[] {
  const alphabet = byteAlphabet();
  return [
    ...alphabet.map((text) => ({ text, type: normalType })),
    { text: "<|im_start|>", type: controlType },
    { text: "<|im_end|>", type: controlType },
    // A user-defined token keeps its text as it is; bytes need the alphabet of a normal one.
    ...script.map((piece) =>
      typeof piece === "string"
        ? { text: piece, type: userDefinedType }
        : { text: [...piece].map((byte) => alphabet[byte]).join(""), type: normalType },
    ),
  ];
}

/** The printable stand-ins that byte-level vocabularies have used for the 256 bytes since GPT-2. */
function byteAlphabet(): readonly string[] {
  let next = 256;
  return Array.from({ length: 256 }, (_, byte) => {
    const isPrintable = (byte >= 33 && byte <= 126) || (byte >= 161 && byte <= 172) || byte >= 174;
    return String.fromCodePoint(isPrintable ? byte : next++);
  });
}

type Value = Readonly<
  | { type: "uint32"; value: number }
  | { type: "float32"; value: number }
  | { type: "string"; value: string }
  | { type: "strings"; value: readonly string[] }
  | { type: "int32s"; value: readonly number[] }
>;

function buildMetadata(
  vocabulary: readonly VocabularyEntry[],
  contextLength: number,
): Readonly<Record<string, Value>> {
  const whole = (value: number): Value => ({ type: "uint32", value });
  const text = (value: string): Value => ({ type: "string", value });
  return {
    "general.architecture": text("llama"),
    "general.name": text("Tiny test model"),
    "general.alignment": whole(alignment),
    "llama.context_length": whole(contextLength),
    "llama.embedding_length": whole(dimensions),
    "llama.block_count": whole(1),
    "llama.feed_forward_length": whole(dimensions),
    "llama.attention.head_count": whole(heads),
    "llama.rope.dimension_count": whole(dimensions / heads),
    "llama.attention.layer_norm_rms_epsilon": { type: "float32", value: 1e-5 },
    "tokenizer.ggml.model": text("gpt2"),
    "tokenizer.ggml.pre": text("default"),
    "tokenizer.ggml.tokens": { type: "strings", value: vocabulary.map((entry) => entry.text) },
    "tokenizer.ggml.token_type": { type: "int32s", value: vocabulary.map((entry) => entry.type) },
    "tokenizer.ggml.merges": { type: "strings", value: ["a b"] },
    "tokenizer.ggml.bos_token_id": whole(startToken),
    "tokenizer.ggml.eos_token_id": whole(endToken),
    "tokenizer.chat_template": text(chatTemplate),
  };
}

type Tensor = Readonly<{ name: string; shape: readonly number[]; data: Float32Array }>;

/**
 * Without attention and feed-forward the last token's embedding reaches the output as it is, where
 * the row of the token that follows holds the same numbers. After a prompt that is the newline.
 */
function scriptedTensors(
  scriptLength: number,
  { repeats = false }: TinyGgufOptions,
): readonly Tensor[] {
  const vocabularySize = firstScriptToken + scriptLength;
  const embeddings = randomSigns(vocabularySize);
  const output = new Float32Array(vocabularySize * dimensions);
  const follow = (token: number, successor: number): void => {
    for (let index = 0; index < dimensions; index++) {
      output[successor * dimensions + index] =
        (output[successor * dimensions + index] ?? 0) +
        (embeddings[token * dimensions + index] ?? 0);
    }
  };
  follow(newline, firstScriptToken);
  for (let index = 0; index < scriptLength - 1; index++) {
    follow(firstScriptToken + index, firstScriptToken + index + 1);
  }
  follow(firstScriptToken + scriptLength - 1, repeats ? firstScriptToken : endToken);
  const zeros = (): Float32Array => new Float32Array(dimensions * dimensions);
  return [
    matrix("token_embd.weight", vocabularySize, embeddings),
    matrix("output.weight", vocabularySize, output),
    ...normTensors(),
    ...blockTensorNames.map((name) => matrix(name, dimensions, zeros())),
  ];
}

function randomTensors(vocabularySize: number): readonly Tensor[] {
  const random = createRandom(7);
  const fill = (rows: number): Float32Array =>
    Float32Array.from({ length: rows * dimensions }, () => random() - 0.5);
  const output = fill(vocabularySize);
  // Control tokens would end the answer early.
  output.fill(0, startToken * dimensions, (endToken + 1) * dimensions);
  return [
    matrix("token_embd.weight", vocabularySize, fill(vocabularySize)),
    matrix("output.weight", vocabularySize, output),
    ...normTensors(),
    ...blockTensorNames.map((name) => matrix(name, dimensions, fill(dimensions))),
  ];
}

const blockTensorNames = [
  "blk.0.attn_q.weight",
  "blk.0.attn_k.weight",
  "blk.0.attn_v.weight",
  "blk.0.attn_output.weight",
  "blk.0.ffn_gate.weight",
  "blk.0.ffn_up.weight",
  "blk.0.ffn_down.weight",
];

function normTensors(): readonly Tensor[] {
  return ["output_norm.weight", "blk.0.attn_norm.weight", "blk.0.ffn_norm.weight"].map((name) => ({
    name,
    shape: [dimensions],
    data: new Float32Array(dimensions).fill(1),
  }));
}

function matrix(name: string, rows: number, data: Float32Array): Tensor {
  return { name, shape: [dimensions, rows], data };
}

function randomSigns(rows: number): Float32Array {
  const random = createRandom(1);
  return Float32Array.from({ length: rows * dimensions }, () => (random() < 0.5 ? -1 : 1));
}

/** A linear congruential generator, so that every run writes the same file. */
function createRandom(seed: number): () => number {
  let state = seed;
  return () => {
    state = (Math.imul(state, 1_664_525) + 1_013_904_223) >>> 0;
    return state / 2 ** 32;
  };
}

/** @see https://github.com/ggml-org/ggml/blob/master/docs/gguf.md */
function serialize(metadata: Readonly<Record<string, Value>>, tensors: readonly Tensor[]): Buffer {
  const entries = Object.entries(metadata);
  const header = [
    Buffer.from("GGUF"),
    uint32(3),
    uint64(tensors.length),
    uint64(entries.length),
    ...entries.flatMap(([key, value]) => [ggufString(key), ggufValue(value)]),
  ];
  let offset = 0;
  for (const { name, shape, data } of tensors) {
    const isFloat32 = uint32(0);
    header.push(ggufString(name), uint32(shape.length), ...shape.map(uint64), isFloat32);
    header.push(uint64(offset));
    offset += data.byteLength;
  }
  const headerBytes = Buffer.concat(header);
  const padding = Buffer.alloc((alignment - (headerBytes.length % alignment)) % alignment);
  const data = tensors.map((tensor) => Buffer.from(tensor.data.buffer));
  return Buffer.concat([headerBytes, padding, ...data]);
}

const valueTypes = { uint32: 4, float32: 6, string: 8, array: 9, int32: 5 } as const;

function ggufValue(value: Value): Buffer {
  switch (value.type) {
    case "uint32":
      return Buffer.concat([uint32(valueTypes.uint32), uint32(value.value)]);
    case "float32":
      return Buffer.concat([uint32(valueTypes.float32), float32(value.value)]);
    case "string":
      return Buffer.concat([uint32(valueTypes.string), ggufString(value.value)]);
    case "strings":
      return ggufArray(valueTypes.string, value.value.map(ggufString));
    case "int32s":
      return ggufArray(valueTypes.int32, value.value.map(uint32));
  }
}

function ggufArray(type: number, items: readonly Buffer[]): Buffer {
  return Buffer.concat([uint32(valueTypes.array), uint32(type), uint64(items.length), ...items]);
}

function ggufString(text: string): Buffer {
  const bytes = Buffer.from(text, "utf8");
  return Buffer.concat([uint64(bytes.length), bytes]);
}

function uint32(value: number): Buffer {
  const buffer = Buffer.alloc(4);
  buffer.writeUInt32LE(value);
  return buffer;
}

function uint64(value: number): Buffer {
  const buffer = Buffer.alloc(8);
  buffer.writeBigUInt64LE(BigInt(value));
  return buffer;
}

function float32(value: number): Buffer {
  const buffer = Buffer.alloc(4);
  buffer.writeFloatLE(value);
  return buffer;
}
