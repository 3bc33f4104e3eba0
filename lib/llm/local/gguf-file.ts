import { open, type FileHandle } from "node:fs/promises";

/** Bytes per block and elements per block of each tensor type (ggml's type table). */
const tensorTypes: Readonly<Record<number, readonly [blockBytes: number, blockElements: number]>> =
  {
    0: [4, 1],
    1: [2, 1],
    2: [18, 32],
    3: [20, 32],
    6: [22, 32],
    7: [24, 32],
    8: [34, 32],
    9: [36, 32],
    10: [84, 256],
    11: [110, 256],
    12: [144, 256],
    13: [176, 256],
    14: [210, 256],
    15: [292, 256],
    16: [66, 256],
    17: [74, 256],
    18: [98, 256],
    19: [50, 256],
    20: [18, 32],
    21: [110, 256],
    22: [82, 256],
    23: [136, 256],
    24: [1, 1],
    25: [2, 1],
    26: [4, 1],
    27: [8, 1],
    28: [8, 1],
    29: [56, 256],
    30: [2, 1],
  };

/** Bytes of each metadata value type of a fixed size; 8 is a string and 9 an array. */
const fixedValueBytes: Readonly<Record<number, number>> = {
  0: 1,
  1: 1,
  2: 2,
  3: 2,
  4: 4,
  5: 4,
  6: 4,
  7: 1,
  10: 8,
  11: 8,
  12: 8,
};
const stringType = 8;
const arrayType = 9;
const uint32Type = 4;
const firstReadBytes = 1 << 20;
const maxHeaderBytes = 256 << 20;

/**
 * Says in words why a file cannot be a whole GGUF file (version 2 or 3, little-endian), or
 * `undefined` when it can: its header is well formed and it is long enough for every tensor it names.
 *
 * @see https://github.com/ggml-org/ggml/blob/master/docs/gguf.md
 * @throws the file system's error when the file cannot be read.
 */
export async function findGgufProblem(path: string): Promise<string | undefined> {
  await using file = await open(path, "r");
  const stats = await file.stat();
  if (!stats.isFile()) return "it is not a file";
  for (let headerBytes = firstReadBytes; ; headerBytes *= 4) {
    try {
      const requiredBytes = requiredFileBytes(
        await readStart(file, Math.min(headerBytes, stats.size)),
      );
      if (typeof requiredBytes === "string") return requiredBytes;
      return stats.size < requiredBytes
        ? `it is truncated: ${stats.size} of at least ${requiredBytes} bytes`
        : undefined;
    } catch (error) {
      if (!(error instanceof RangeError)) throw error;
      if (headerBytes >= stats.size) return "its header is truncated or damaged";
      if (headerBytes >= maxHeaderBytes) return "its header is damaged";
    }
  }
}

async function readStart(file: FileHandle, maxBytes: number): Promise<Buffer> {
  const buffer = Buffer.alloc(maxBytes);
  const { bytesRead } = await file.read(buffer, 0, maxBytes, 0);
  return buffer.subarray(0, bytesRead);
}

/** @throws RangeError when the header goes on past the end of the buffer. */
function requiredFileBytes(header: Buffer): number | string {
  if (header.toString("latin1", 0, 4) !== "GGUF") return "it is not a GGUF file";
  const cursor = new Cursor(header, 4);
  const version = cursor.uint32();
  if (version !== 2 && version !== 3) return `its GGUF version ${version} is not supported`;
  const tensorCount = cursor.uint64();
  const metadataCount = cursor.uint64();
  let alignment = 32;
  for (let index = 0; index < metadataCount; index++) {
    const key = cursor.string();
    const type = cursor.uint32();
    if (key === "general.alignment" && type === uint32Type) alignment = cursor.uint32();
    else cursor.skipValue(type);
  }
  let tensorBytes = 0;
  for (let index = 0; index < tensorCount; index++) {
    tensorBytes = Math.max(tensorBytes, readTensorEnd(cursor));
  }
  return Math.ceil(cursor.offset / alignment) * alignment + tensorBytes;
}

/** Where the next tensor ends, counted from the start of the tensor data. */
function readTensorEnd(cursor: Cursor): number {
  cursor.string();
  const dimensionCount = cursor.uint32();
  let elements = 1;
  for (let index = 0; index < dimensionCount; index++) elements *= cursor.uint64();
  const [blockBytes, blockElements] = tensorTypes[cursor.uint32()] ?? [0, 1];
  return cursor.uint64() + (elements / blockElements) * blockBytes;
}

class Cursor {
  offset: number;
  readonly #buffer: Buffer;

  constructor(buffer: Buffer, offset: number) {
    this.#buffer = buffer;
    this.offset = offset;
  }

  uint32(): number {
    return this.#buffer.readUInt32LE(this.#advance(4));
  }

  uint64(): number {
    return Number(this.#buffer.readBigUInt64LE(this.#advance(8)));
  }

  string(): string {
    const bytes = this.uint64();
    const start = this.#advance(bytes);
    return this.#buffer.toString("utf8", start, start + bytes);
  }

  skipValue(type: number): void {
    if (type === stringType) {
      this.#advance(this.uint64());
    } else if (type === arrayType) {
      this.#skipArray();
    } else {
      this.#advance(fixedValueBytes[type] ?? Number.POSITIVE_INFINITY);
    }
  }

  #skipArray(): void {
    const type = this.uint32();
    const count = this.uint64();
    const bytes = fixedValueBytes[type];
    if (bytes !== undefined) {
      this.#advance(count * bytes);
      return;
    }
    for (let index = 0; index < count; index++) this.skipValue(type);
  }

  #advance(bytes: number): number {
    const start = this.offset;
    if (start + bytes > this.#buffer.length) throw new RangeError("the header is longer");
    this.offset = start + bytes;
    return start;
  }
}
