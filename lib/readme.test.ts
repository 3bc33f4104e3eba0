import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { test } from "node:test";
import type { z } from "zod";
import { envSchema } from "./env.ts";
import { mockScripts } from "./llm/providers/mock-scripts.ts";

const root = new URL("../", import.meta.url);
const readme = readFileSync(new URL("README.md", root), "utf8");

test("the README's configuration table is the schema's", () => {
  assert.deepEqual(tableRows("variable"), Object.entries(envSchema.shape).map(describeVariable));
});

test("the README names every script of the mock", () => {
  const named = tableRows("script").map(([name]) => name);
  assert.deepEqual(
    named,
    mockScripts.map(({ name }) => `\`${name}\``),
  );
});

test("the README says why each dependency is there", () => {
  const manifest = JSON.parse(readFileSync(new URL("package.json", root), "utf8")) as Manifest;
  const named = tableRows("package").flatMap(([names = ""]) =>
    names.replaceAll("`", "").split(", "),
  );
  const installed = Object.keys({ ...manifest.dependencies, ...manifest.devDependencies });
  assert.deepEqual(
    named.toSorted(),
    installed.filter((name) => !name.startsWith("@types/")).toSorted(),
  );
});

type Manifest = { dependencies: object; devDependencies: object };

function describeVariable([name, schema]: [string, z.ZodType]): string[] {
  const { defaultValue } = schema.def as { defaultValue?: string | number | boolean | unknown[] };
  const hasDefault = defaultValue !== undefined && !Array.isArray(defaultValue);
  return [`\`${name}\``, hasDefault ? `\`${String(defaultValue)}\`` : "", schema.description ?? ""];
}

/** The cells of the table whose first heading is `heading`. */
function tableRows(heading: string): string[][] {
  const lines = readme.split("\n");
  const start = lines.findIndex((line) => line.startsWith(`| ${heading} `)) + 2;
  const end = lines.findIndex((line, index) => index >= start && !line.startsWith("|"));
  return lines.slice(start, end).map((line) =>
    line
      .slice(1, -1)
      .split("|")
      .map((cell) => cell.trim()),
  );
}
