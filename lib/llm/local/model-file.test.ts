import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { createHash } from "node:crypto";
import { once } from "node:events";
import { readdir, readFile, stat, utimes, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { test } from "node:test";

import { obtainModelFile, type ModelFile, type ObtainModelFileOptions } from "./model-file.ts";
import type { ModelSource, RemoteModel } from "./model-sources.ts";
import { startFileServer } from "./scripted-file-server.ts";
import { temporaryDirectory } from "./temporary-directory.ts";
import { buildTinyGguf, writeTinyGguf } from "./tiny-gguf.ts";

const content = buildTinyGguf();
const sha256 = createHash("sha256").update(content).digest("hex");
const otherContent = Buffer.from(content).fill(1, 200_000, 200_100);

function remoteModel(...urls: readonly string[]): RemoteModel {
  const sources = urls.map((url, index): ModelSource => ({
    kind: "url",
    name: `source ${index + 1}`,
    url,
  }));
  return {
    modelId: "Tiny",
    fileName: "tiny.gguf",
    expected: { sizeBytes: content.length, sha256 },
    sources,
  };
}

type Obtained = Readonly<{ file: ModelFile; lines: readonly string[] }>;

async function obtain(options: ObtainModelFileOptions): Promise<Obtained> {
  const lines: string[] = [];
  const file = await obtainModelFile({
    log: (line) => lines.push(line),
    onProgress: () => undefined,
    timeouts: { connectMs: 300, stallMs: 300 },
    ...options,
  });
  return { file, lines };
}

test("fetches the model once and then takes it from the folder", async () => {
  await using directory = await temporaryDirectory();
  await using server = await startFileServer(content);
  const options = { modelDir: join(directory.path, "models"), model: remoteModel(server.url) };
  const progress: number[] = [];
  const first = await obtain({
    ...options,
    onProgress: ({ receivedBytes, totalBytes = 0 }) => progress.push(receivedBytes / totalBytes),
  });
  assert.equal(first.file.source, "source 1");
  assert.equal(first.file.modelId, "Tiny");
  assert.deepEqual([progress[0], progress.at(-1)], [0, 1]);
  assert.deepEqual(await readFile(first.file.path), content);
  const second = await obtain(options);
  assert.deepEqual(second.file, { ...first.file, source: "cache" });
  assert.deepEqual(second.lines, []);
  assert.equal(server.requests.length, 1);
});

test("continues where the connection was cut", async () => {
  await using directory = await temporaryDirectory();
  await using server = await startFileServer(content, [
    { stallAfterBytes: 50_000 },
    { stallAfterBytes: 100_000 },
  ]);
  const { file } = await obtain({
    modelDir: directory.path,
    model: remoteModel(server.url),
    onProgress: ({ receivedBytes }) => {
      if ([50_000, 150_000].includes(receivedBytes)) server.cut();
    },
  });
  assert.deepEqual(await readFile(file.path), content);
  assert.deepEqual(
    server.requests.map(({ range }) => range),
    [undefined, "bytes=50000-", "bytes=150000-"],
  );
});

test("takes the next source when connections to the first one keep being cut", async () => {
  await using directory = await temporaryDirectory();
  const stalls = Array.from({ length: 10 }, () => ({ stallAfterBytes: 0 }));
  await using cutting = await startFileServer(content, stalls);
  await using good = await startFileServer(content);
  const { file, lines } = await obtain({
    modelDir: directory.path,
    model: remoteModel(cutting.url, good.url),
    onProgress: ({ source }) => {
      if (source === "source 1") cutting.cut();
    },
  });
  assert.equal(file.source, "source 2");
  assert.match(lines.join("\n"), /the connection was cut/);
  assert.equal(cutting.requests.length, 3);
});

test("continues a download that an earlier start left unfinished", async () => {
  await using directory = await temporaryDirectory();
  await using server = await startFileServer(content);
  await writeFile(join(directory.path, "tiny.gguf.part"), content.subarray(0, 200_000));
  await obtain({ modelDir: directory.path, model: remoteModel(server.url) });
  assert.deepEqual(
    server.requests.map(({ range }) => range),
    ["bytes=200000-"],
  );
});

test("starts over when the earlier part turns out to be damaged", async () => {
  await using directory = await temporaryDirectory();
  await using server = await startFileServer(content);
  await writeFile(join(directory.path, "tiny.gguf.part"), Buffer.alloc(200_000));
  const { file } = await obtain({ modelDir: directory.path, model: remoteModel(server.url) });
  assert.deepEqual(await readFile(file.path), content);
  assert.equal(server.requests.length, 2);
});

test("takes the whole file from a server that knows no ranges", async () => {
  await using directory = await temporaryDirectory();
  await using server = await startFileServer(content, [{ ignoresRange: true }]);
  await writeFile(join(directory.path, "tiny.gguf.part"), content.subarray(0, 200_000));
  const { file } = await obtain({ modelDir: directory.path, model: remoteModel(server.url) });
  assert.deepEqual(await readFile(file.path), content);
  assert.equal(server.requests.length, 1);
});

const uselessServers = {
  "refuses with a status": [{ status: 403 }, /status 403/],
  "never answers": [{ isSilent: true }, /did not answer within 300 ms/],
  "stops sending": [{ stallAfterBytes: 1000 }, /sent nothing for 300 ms/],
  "has a file of another size": [{ content: content.subarray(1) }, /offers \d+ bytes instead/],
  "has a file with another hash": [{ content: otherContent }, /SHA-256 is [0-9a-f]{64} instead/],
} as const;

for (const [name, [behaviour, problem]] of Object.entries(uselessServers)) {
  test(`takes the next source when the first one ${name}`, async () => {
    await using directory = await temporaryDirectory();
    await using useless = await startFileServer(content, [behaviour]);
    await using good = await startFileServer(content);
    const { file, lines } = await obtain({
      modelDir: directory.path,
      model: remoteModel(useless.url, good.url),
    });
    assert.equal(file.source, "source 2");
    assert.deepEqual(await readFile(file.path), content);
    assert.ok(
      lines.some((line) => line.startsWith("source 1 cannot give Tiny") && problem.test(line)),
      lines.join("\n"),
    );
  });
}

test("takes the next source when nobody listens at the first one", async () => {
  await using directory = await temporaryDirectory();
  const closed = await startFileServer(content);
  await closed[Symbol.asyncDispose]();
  await using good = await startFileServer(content);
  const model = remoteModel(closed.url, good.url);
  assert.equal((await obtain({ modelDir: directory.path, model })).file.source, "source 2");
});

test("names every source and its problem when none gives the file", async () => {
  await using directory = await temporaryDirectory();
  await using first = await startFileServer(content, [{ status: 500 }]);
  await using second = await startFileServer(otherContent);
  await assert.rejects(
    obtain({ modelDir: directory.path, model: remoteModel(first.url, second.url) }),
    {
      code: "model_unavailable",
      message: /source 1: it answered with status 500; source 2: the file's SHA-256 is/,
    },
  );
  assert.ok(!(await readdir(directory.path)).includes("tiny.gguf"));
});

test("fetches a file again that was changed after it was verified", async () => {
  await using directory = await temporaryDirectory();
  await using server = await startFileServer(content);
  const options = { modelDir: directory.path, model: remoteModel(server.url) };
  const { file } = await obtain(options);
  await writeFile(file.path, otherContent);
  await obtain(options);
  assert.deepEqual(await readFile(file.path), content);
});

test("verifies a file again whose time of change is another one, and keeps it", async () => {
  await using directory = await temporaryDirectory();
  await using server = await startFileServer(content);
  const options = { modelDir: directory.path, model: remoteModel(server.url) };
  const { file } = await obtain(options);
  await utimes(file.path, 1, 1);
  assert.equal((await obtain(options)).file.source, "cache");
  assert.equal(server.requests.length, 1);
});

test("fetches once for two processes that start together", async () => {
  await using directory = await temporaryDirectory();
  await using server = await startFileServer(content);
  const modelDir = join(directory.path, "models");
  const script = `
    import { obtainModelFile } from ${JSON.stringify(import.meta.resolve("./model-file.ts"))};
    const { path } = await obtainModelFile(${JSON.stringify({ modelDir, model: remoteModel(server.url) })});
    console.log(path);`;
  const outputs = await Promise.all(
    [1, 2].map(async () => {
      const child = spawn(process.execPath, ["--input-type=module", "--eval", script]);
      child.stdout.setEncoding("utf8");
      let output = "";
      child.stdout.on("data", (text: string) => (output += text));
      await once(child, "close");
      return output.trim();
    }),
  );
  const path = join(modelDir, "tiny.gguf");
  assert.deepEqual(outputs, [path, path]);
  assert.deepEqual(await readFile(path), content);
  assert.equal(server.requests.length, 1);
});

test("stops at once when the signal aborts, and keeps what it has", async () => {
  await using directory = await temporaryDirectory();
  await using server = await startFileServer(content, [{ stallAfterBytes: 1000 }]);
  const controller = new AbortController();
  const obtained = obtain({
    modelDir: directory.path,
    model: remoteModel(server.url, server.url),
    signal: controller.signal,
    timeouts: { connectMs: 60_000, stallMs: 60_000 },
    onProgress: ({ receivedBytes }) => {
      if (receivedBytes === 1000) controller.abort(new Error("stopped"));
    },
  });
  await assert.rejects(obtained, /stopped/);
  assert.equal((await stat(join(directory.path, "tiny.gguf.part"))).size, 1000);
  assert.equal(server.requests.length, 1);
});

test("says how to mend a folder that cannot be used", async () => {
  await using directory = await temporaryDirectory();
  const modelDir = join(directory.path, "file");
  await writeFile(modelDir, "in the way");
  await assert.rejects(obtain({ modelDir, model: remoteModel("http://127.0.0.1:9") }), {
    code: "model_dir_unusable",
    message: /Set MODEL_DIR to a folder/,
  });
});

test("takes a LOCAL_MODEL path as it is", async () => {
  await using directory = await temporaryDirectory();
  const localModel = join(directory.path, "my-model.gguf");
  await writeFile(localModel, content);
  const { file } = await obtain({ modelDir: join(directory.path, "models"), localModel });
  assert.deepEqual(file, {
    path: localModel,
    modelId: "my-model",
    sizeBytes: content.length,
    source: "LOCAL_MODEL",
  });
});

test("survives a LOCAL_MODEL that makes llama.cpp abort", async () => {
  await using directory = await temporaryDirectory();
  const localModel = join(directory.path, "my-model.gguf");
  // Two tokens with one text: an assertion of llama.cpp's, which ends the process, forbids it.
  await writeTinyGguf(localModel, { script: ["twice", "twice"] });
  await assert.rejects(obtain({ modelDir: directory.path, localModel }), {
    code: "local_model_invalid",
    message: /^LOCAL_MODEL is .* llama\.cpp cannot load it: .*GGML_ASSERT/,
  });
});

const badLocalModels = {
  "does not exist": [undefined, /no such file/],
  "is no GGUF file": [Buffer.from("hello"), /not a GGUF file/],
  "is truncated": [content.subarray(0, 100_000), /truncated: 100000 of at least/],
} as const;

for (const [name, [bytes, problem]] of Object.entries(badLocalModels)) {
  test(`says how to mend a LOCAL_MODEL that ${name}`, async () => {
    await using directory = await temporaryDirectory();
    const localModel = join(directory.path, "my-model.gguf");
    if (bytes !== undefined) await writeFile(localModel, bytes);
    await assert.rejects(obtain({ modelDir: directory.path, localModel }), (error: Error) => {
      assert.match(error.message, /^LOCAL_MODEL is ".*my-model\.gguf"/);
      assert.match(error.message, problem);
      assert.match(error.message, /Give the path of a whole GGUF file/);
      return "code" in error && error.code === "local_model_invalid";
    });
  });
}

test("fetches a Hugging Face reference and checks it against the hash that the hub names", async () => {
  await using directory = await temporaryDirectory();
  const headers = { "x-linked-size": String(content.length), "x-linked-etag": `"${sha256}"` };
  await using server = await startFileServer(content, [{ headers }]);
  const options = {
    modelDir: directory.path,
    localModel: "hf:someone/models/sub/tiny.Q4.gguf#v2",
    huggingFaceUrl: server.url,
  };
  const { file } = await obtain(options);
  assert.equal(file.modelId, "tiny.Q4");
  assert.deepEqual(await readFile(file.path), content);
  assert.deepEqual(
    server.requests.map(({ method, path }) => `${method} ${path}`),
    [
      "HEAD /someone/models/resolve/v2/sub/tiny.Q4.gguf",
      "GET /someone/models/resolve/v2/sub/tiny.Q4.gguf",
    ],
  );
  assert.equal((await obtain(options)).file.source, "cache");
});

test("refuses what a Hugging Face reference brings when the hash is another one", async () => {
  await using directory = await temporaryDirectory();
  const headers = { "x-linked-etag": `"${"0".repeat(64)}"` };
  await using server = await startFileServer(content, [{ headers }]);
  await assert.rejects(
    obtain({
      modelDir: directory.path,
      localModel: "hf:someone/models/tiny.gguf",
      huggingFaceUrl: server.url,
    }),
    {
      code: "model_unavailable",
      message: /^LOCAL_MODEL is "hf:someone\/models\/tiny\.gguf".*SHA-256/,
    },
  );
});

for (const localModel of ["hf:", "hf:someone", "hf:someone/models", "hf:a/b/../../c.gguf"]) {
  test(`refuses the reference ${localModel}`, async () => {
    await using directory = await temporaryDirectory();
    await assert.rejects(obtain({ modelDir: directory.path, localModel }), {
      code: "local_model_invalid",
      message: /Write it as hf:owner\/repository\/file\.gguf/,
    });
  });
}
