import assert from "node:assert/strict";
import { execFile } from "node:child_process";
import { copyFile, mkdir, mkdtemp, realpath, rm, writeFile } from "node:fs/promises";
import { findPackageJSON } from "node:module";
import { tmpdir } from "node:os";
import { dirname, join, relative, resolve } from "node:path";
import { after, before, describe, it } from "node:test";

const forbidden: Readonly<Record<string, readonly string[]>> = {
  "lib/db/file.ts": [
    "../llm/turn.ts",
    "../auth/token.ts",
    "../api/schemas.ts",
    "../ws/frames.ts",
    "../services.ts",
    "../../app/route.ts",
    "../../components/chat.tsx",
    "../../server.ts",
    "../../e2e/rig/client.ts",
    "#lib/llm/turn.ts",
    "#app/route.ts",
    "#components/chat.tsx",
    "next",
    "@ai-sdk/openai",
    "@ai-sdk/provider",
    "./../llm/turn.ts",
    "../db/../llm/turn.ts",
  ],
  "lib/db/dialects/file.ts": ["../../llm/turn.ts", "#lib/llm/turn.ts"],
  "lib/auth/file.ts": ["../llm/turn.ts", "#lib/llm/turn.ts", "../ws/frames.ts", "../api/routes.ts"],
  "lib/llm/file.ts": [
    "../auth/token.ts",
    "#lib/auth/token.ts",
    "../ws/frames.ts",
    "../api/handler.ts",
    "../services.ts",
    "@ai-sdk/openai",
    "next/server",
  ],
  "lib/llm/local/file.ts": ["../../auth/token.ts", "#lib/api/handler.ts", "next"],
  "lib/llm/file.test.ts": ["../auth/token.ts", "@ai-sdk/openai"],
  "lib/api/file.ts": ["../../app/chat/route.ts", "#components/chat.tsx", "@ai-sdk/openai", "next"],
  "lib/ws/file.ts": ["../../server.ts", "#app/chat/route.ts", "@ai-sdk/provider"],
  "lib/errors.ts": ["./db/sqlite.ts", "./services.ts", "#lib/services.ts", "../server.ts"],
  "lib/services.ts": ["../server.ts", "#components/chat.tsx", "../app/chat/route.ts", "next"],
  "components/file.tsx": [
    "../lib/db/sqlite.ts",
    "#lib/db/sqlite.ts",
    "#lib/api/handler.ts",
    "#lib/env.ts",
    "../app/page.tsx",
    "../server.ts",
  ],
  "components/chat/file.tsx": ["../../lib/llm/turn.ts", "#lib/llm/turn.ts"],
  "app/chat/route.ts": ["next", "next/server", "#e2e/rig/client.ts", "@ai-sdk/openai"],
  "app/page.tsx": ["../e2e/rig/client.ts", "../server.ts"],
};

const allowed: Readonly<Record<string, readonly string[]>> = {
  "lib/db/file.ts": ["./tables.ts", "../errors.ts", "#lib/env.ts", "#lib/db/tables.ts", "kysely"],
  "lib/db/dialects/file.ts": ["../tables.ts", "./sqlite.ts", "../../errors.ts"],
  "lib/auth/file.ts": ["../db/sqlite.ts", "#lib/db/sqlite.ts", "../log.ts", "next-auth"],
  "lib/llm/file.ts": ["./local/engine.ts", "../db/sqlite.ts", "../provider-ids.ts", "ai"],
  "lib/llm/local/file.ts": ["../turn.ts", "../../errors.ts", "@ai-sdk/provider"],
  "lib/llm/providers/file.ts": ["../../errors.ts", "@ai-sdk/openai", "@ai-sdk/provider"],
  "lib/llm/file.test.ts": ["../api/schemas.ts", "#e2e/rig/client.ts", "../../e2e/rig/client.ts"],
  "lib/api/file.ts": ["../ws/frames.ts", "../llm/turn.ts", "#lib/auth/token.ts", "../services.ts"],
  "lib/ws/file.ts": ["../api/schemas.ts", "../llm/turn.ts", "../services.ts"],
  "lib/errors.ts": ["./provider-ids.ts"],
  "lib/services.ts": ["./db/sqlite.ts", "#lib/llm/turn.ts", "./ws/upgrade.ts"],
  "components/file.tsx": ["#lib/api/schemas.ts", "../lib/ws/frames.ts", "./chat/list.tsx"],
  "components/chat/file.tsx": ["../file-list.tsx", "../../lib/errors.ts", "react"],
  "app/chat/route.ts": ["#lib/llm/turn.ts", "../../lib/api/handler.ts"],
  "app/api/auth/route.ts": ["next-auth", "next"],
  "app/page.tsx": ["#components/chat.tsx", "next/navigation"],
  "server.ts": ["next", "./app/chat/route.ts", "#lib/services.ts"],
};

type Sample = Readonly<{ text: string; breaks: readonly string[] }>;

const broken = (rule: string, text: string): Sample => ({ text, breaks: [rule] });
const sound = (text: string): Sample => ({ text, breaks: [] });

const samples: Readonly<Record<string, Sample>> = {
  "lib/llm/shapes.ts": broken(
    "eslint(no-restricted-imports)",
    'import { Ulid } from "../api/schemas.ts";\nexport const id = String(Ulid);',
  ),
  "lib/auth/lazy-shapes.ts": broken(
    "eslint(no-restricted-imports)",
    'export const shapes = () => import("#lib/api/schemas.ts");',
  ),
  "lib/llm/provider-values.ts": broken(
    "eslint(no-restricted-imports)",
    'import { APICallError } from "@ai-sdk/provider";\nexport const isFailure = APICallError.isInstance;',
  ),
  "lib/llm/shape-types.ts": sound('export type { Usage } from "../api/schemas.ts";'),
  "lib/llm/provider-types.ts": sound('export type { LanguageModelV4 } from "@ai-sdk/provider";'),
  "lib/db/lazy.ts": broken(
    "eslint(no-restricted-imports)",
    'export const turn = () => import("../llm/turn.ts");',
  ),
  "lib/db/circle-a.ts": broken(
    "import(no-cycle)",
    'import { b } from "./circle-b.ts";\nexport const a = b;',
  ),
  "lib/db/circle-b.ts": broken(
    "import(no-cycle)",
    'import type { a } from "#lib/db/circle-a.ts";\nexport const b = {} as unknown as typeof a;',
  ),
  "lib/db/port.ts": broken(
    "eslint(no-restricted-properties)",
    "export const port = process.env.PORT;",
  ),
  "lib/env.ts": sound("export const port = process.env.PORT;"),
  "lib/db/slots.ts": broken(
    "eslint(no-restricted-globals)",
    "export const slots = Object.keys(globalThis);",
  ),
  "lib/global.ts": sound("export const slots = Object.keys(globalThis);"),
  "lib/db/noise.ts": broken(
    "eslint(no-console)",
    'export const note = () => console.log("noise");',
  ),
  "server.ts": sound('export const note = () => console.log("listening");'),
  "e2e/run.ts": sound("export const note = () => console.log(process.env.CI);"),
  "lib/db/any.ts": broken("typescript(no-explicit-any)", "export const value: any = 1;"),
  "lib/db/assertion.ts": broken(
    "typescript(no-non-null-assertion)",
    "export const first = (values: string[]) => values.at(0)!.length;",
  ),
  "lib/db/value-import.ts": broken(
    "typescript(consistent-type-imports)",
    'import { Row } from "./row.ts";\nexport const copy = (row: Row): Row => ({ ...row });',
  ),
  "lib/db/row.ts": sound("export type Row = { id: string };"),
  "lib/db/floating.ts": broken(
    "typescript(no-floating-promises)",
    "async function work() {}\nexport function begin() {\n  work();\n}",
  ),
  "lib/db/misused.ts": broken(
    "typescript(no-misused-promises)",
    "export const begin = () => [1].forEach(async () => {});",
  ),
  "lib/db/switch.ts": broken(
    "typescript(switch-exhaustiveness-check)",
    'export function grade(kind: "a" | "b") {\n  switch (kind) {\n    case "a":\n      return 1;\n  }\n  return 2;\n}',
  ),
};

type Diagnostic = Readonly<{
  filename: string;
  code: string;
  labels: readonly [{ span: { line: number } }];
}>;

/** A file has one line for each path it imports, the forbidden first, and then its sample. */
function linesOf(place: string): string[] {
  const paths = [...(forbidden[place] ?? []), ...(allowed[place] ?? [])];
  const imports = paths.map((path, index) => `export * as import${index} from "${path}";`);
  return [...imports, ...(samples[place]?.text.split("\n") ?? [])];
}

async function writeTree(tree: string): Promise<void> {
  for (const place of new Set([forbidden, allowed, samples].flatMap(Object.keys))) {
    await mkdir(dirname(join(tree, place)), { recursive: true });
    await writeFile(join(tree, place), linesOf(place).join("\n"));
  }
  await copyFile(join(import.meta.dirname, "lint-rules.ts"), join(tree, "lib/lint-rules.ts"));
  const imports = { "#lib/*": "./lib/*" };
  await writeFile(join(tree, "package.json"), JSON.stringify({ type: "module", imports }));
  const compilerOptions = {
    strict: true,
    noEmit: true,
    module: "nodenext",
    allowImportingTsExtensions: true,
  };
  await writeFile(join(tree, "tsconfig.json"), JSON.stringify({ compilerOptions }));
}

async function lint(tree: string): Promise<readonly Diagnostic[]> {
  const packageFile = findPackageJSON("oxlint", import.meta.url);
  assert.ok(packageFile);
  const command = [join(dirname(packageFile), "bin/oxlint"), "-c", join(tree, "lib/lint-rules.ts")];
  const output = await new Promise<string>((done) => {
    execFile(
      process.execPath,
      [...command, "--type-aware", "--format=json", tree],
      { cwd: import.meta.dirname, maxBuffer: 2 ** 24 },
      (_error, stdout, stderr) => done(stdout || stderr),
    );
  });
  return (JSON.parse(output) as { diagnostics: Diagnostic[] }).diagnostics;
}

describe("the lint rules", () => {
  let tree: string;
  let found: readonly (Diagnostic & { place: string; line: number })[];

  before(async () => {
    tree = await realpath(await mkdtemp(join(tmpdir(), "lint-[rules]-")));
    await writeTree(tree);
    const diagnostics = await lint(tree);
    found = diagnostics.map((diagnostic) => ({
      ...diagnostic,
      place: relative(tree, resolve(import.meta.dirname, diagnostic.filename)),
      line: diagnostic.labels[0].span.line,
    }));
  });

  after(() => rm(tree, { recursive: true }));

  for (const place of new Set([forbidden, allowed].flatMap(Object.keys))) {
    it(`report what ${place} may not import, and nothing else`, () => {
      const reported = found.filter(
        (diagnostic) =>
          diagnostic.place === place && diagnostic.code === "eslint(no-restricted-imports)",
      );
      const paths = [...(forbidden[place] ?? []), ...(allowed[place] ?? [])];
      assert.deepEqual(
        new Set(reported.map(({ line }) => paths[line - 1])),
        new Set(forbidden[place]),
      );
    });
  }

  for (const [place, { breaks }] of Object.entries(samples)) {
    it(`report in ${place}: ${breaks.join() || "nothing"}`, () => {
      const imports = linesOf(place).length - (samples[place]?.text.split("\n").length ?? 0);
      const codes = found
        .filter((diagnostic) => diagnostic.place === place && diagnostic.line > imports)
        .map(({ code }) => code);
      assert.deepEqual([...new Set(codes)], breaks);
    });
  }
});
