import assert from "node:assert/strict";
import { writeFile } from "node:fs/promises";
import { join } from "node:path";
import { test } from "node:test";

import { findGgufProblem } from "./gguf-file.ts";
import { temporaryDirectory } from "./temporary-directory.ts";
import { buildTinyGguf } from "./tiny-gguf.ts";

test("accepts a whole model file", async () => {
  await using directory = await temporaryDirectory();
  const path = join(directory.path, "model.gguf");
  await writeFile(path, buildTinyGguf());
  assert.equal(await findGgufProblem(path), undefined);
});

test("says that a file is truncated, wherever it was cut", async () => {
  await using directory = await temporaryDirectory();
  const path = join(directory.path, "model.gguf");
  const whole = buildTinyGguf();
  for (const length of [10, 30, 500, 4000, whole.length - 100_000, whole.length - 1]) {
    await writeFile(path, whole.subarray(0, length));
    assert.match((await findGgufProblem(path)) ?? "", /truncated/, `cut at ${length}`);
  }
});

const notModels = {
  "an empty file": Buffer.alloc(0),
  text: Buffer.from("this is not a model"),
  zeros: Buffer.alloc(100_000),
  "a version nobody knows": Buffer.concat([Buffer.from("GGUF"), Buffer.alloc(40, 9)]),
  "a header full of nonsense": Buffer.concat([
    Buffer.from("GGUF\u0003\u0000\u0000\u0000", "latin1"),
    Buffer.alloc(4000, 0xff),
  ]),
};

for (const [name, content] of Object.entries(notModels)) {
  test(`refuses ${name}`, async () => {
    await using directory = await temporaryDirectory();
    const path = join(directory.path, "model.gguf");
    await writeFile(path, content);
    assert.equal(typeof (await findGgufProblem(path)), "string");
  });
}

test("refuses a directory", async () => {
  await using directory = await temporaryDirectory();
  assert.equal(await findGgufProblem(directory.path), "it is not a file");
});
