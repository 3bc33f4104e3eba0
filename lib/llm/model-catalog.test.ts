import assert from "node:assert/strict";
import { describe, test } from "node:test";

import { liveModel, plainConfig } from "#e2e/rig/chat-rig.ts";
import type { SetLlmRequest } from "../api/schemas.ts";
import { parseEnv } from "../env.ts";
import { ModelCatalog, type LocalModel } from "./model-catalog.ts";
import { providers } from "./providers/providers.ts";

type Variables = Record<string, string>;
type Status = ReturnType<LocalModel["status"]>["status"];
const { model: embedded } = liveModel();

function open(variables: Variables = {}, status: Status = "ready", guardedFetch = fetch) {
  const local = { modelId: "tiny", status: () => ({ status }), languageModel: () => embedded };
  return new ModelCatalog({ env: parseEnv(variables), local, guardedFetch });
}

const key = { OPENAI_API_KEY: "sk-server" };
const base = { LLM_BASE_URL: "http://127.0.0.1:11434/v1" };

describe("the default provider", () => {
  const rows: [Variables, Status, provider: string, model: string][] = [
    [{ ...key, ...base, LLM_PROVIDER: "mock" }, "ready", "mock", "echo"],
    [{ LLM_PROVIDER: "local" }, "failed", "local", "tiny"],
    [{ ...key, ...base }, "ready", "openai", providers.openai.defaultModel ?? ""],
    [{ ...base, LLM_MODEL: "llama" }, "ready", "openai-compatible", "llama"],
    [{ OPENAI_COMPATIBLE_API_KEY: "k" }, "ready", "local", "tiny"],
    [{}, "ready", "local", "tiny"],
    [{}, "preparing", "local", "tiny"],
    [{}, "failed", "mock", "echo"],
    [{}, "off", "mock", "echo"],
    [{ LLM_MODEL: "llama" }, "ready", "local", "tiny"],
    [{ LLM_MODEL: "llama" }, "failed", "mock", "echo"],
    [{ LLM_PROVIDER: "mock", LLM_MODEL: "stall" }, "ready", "mock", "stall"],
  ];
  for (const [variables, status, provider, modelName] of rows) {
    const given = Object.keys(variables).join(", ") || "nothing";
    test(`is ${provider} with ${given} set and the embedded model ${status}`, () => {
      const { defaultConfig } = open(variables, status);
      assert.deepEqual([defaultConfig.provider, defaultConfig.modelName], [provider, modelName]);
    });
  }
});

describe("LLM_MODEL", () => {
  const refused: Variables[] = [
    { LLM_PROVIDER: "local", LLM_MODEL: "llama" },
    { LLM_PROVIDER: "mock", LLM_MODEL: "no-such-script" },
  ];
  for (const variables of refused) {
    test(`stops the start when ${variables.LLM_PROVIDER} has no ${variables.LLM_MODEL}`, () => {
      assert.throws(() => open(variables).checkDefault(), /^StartupError: LLM_MODEL: /);
    });
  }

  test("may be any name for a provider of many models", () => {
    open({ ...key, LLM_MODEL: "gpt-9" }).checkDefault();
  });
});

describe("a configuration", () => {
  const found: Record<string, [request: SetLlmRequest, provider: string]> = {
    "a name of OpenAI's": [{ model_name: "gpt-4" }, "openai"],
    "a reasoning model's name": [{ model_name: "o3-mini" }, "openai"],
    "the embedded model's name": [{ model_name: "tiny" }, "local"],
    "a base URL, whatever the name": [
      { model_name: "gpt-4", base_url: "https://llm.example.com/v1" },
      "openai-compatible",
    ],
    "its own word": [{ model_name: "gpt-4", provider: "openai-compatible" }, "openai-compatible"],
    "nothing, by the default": [{ model_name: "echo" }, "mock"],
  };
  for (const [name, [request, provider]] of Object.entries(found)) {
    test(`finds its provider by ${name}`, async () => {
      assert.equal((await open({}, "off").configure(request)).provider, provider);
    });
  }

  const refused: Record<string, [SetLlmRequest, paths: string[]]> = {
    "parameters that the provider does not take": [
      { model_name: "tiny", reasoning_effort: "low" },
      ["reasoning_effort"],
    ],
    "another embedded model": [{ model_name: "big", provider: "local" }, ["model_name"]],
    "a base URL that is not used": [
      { model_name: "echo", provider: "mock", base_url: "https://llm.example.com" },
      ["base_url"],
    ],
    "an unknown script": [{ model_name: "no-such-script", provider: "mock" }, ["model_name"]],
    "all that is wrong at once": [
      { model_name: "big", provider: "local", reasoning_effort: "low", base_url: "https://a.test" },
      ["reasoning_effort", "model_name", "base_url"],
    ],
  };
  for (const [name, [request, paths]] of Object.entries(refused)) {
    test(`refuses ${name}`, async () => {
      await assert.rejects(
        open().configure(request),
        (error: { code: string; errors: never[] }) => {
          assert.equal(error.code, "invalid_input");
          assert.deepEqual(
            error.errors.map(({ path }) => path),
            paths,
          );
          return true;
        },
      );
    });
  }

  test("refuses overrides under the name of their field", () => {
    const config = { ...plainConfig, provider: "local", modelName: "tiny" } as const;
    const check = () => open().checkOverrides(config, { reasoning_effort: "low" }, "model_params");
    assert.throws(check, { code: "invalid_input" });
    open().checkOverrides(config, { temperature: 1 }, "model_params");
  });

  test("refuses a private base URL and counts its system prompt", async () => {
    const request = { model_name: "m", base_url: "http://127.0.0.1:1/v1" };
    await assert.rejects(open().configure(request), { code: "invalid_base_url" });
    const config = await open().configure({ model_name: "tiny", system_prompt: "Be brief." });
    assert.deepEqual([config.systemPrompt, config.systemPromptTokens], ["Be brief.", 3]);
  });
});

describe("what a configuration still needs", () => {
  const userUrl = { baseUrl: "https://llm.example.com/v1" };
  const compatible = { provider: "openai-compatible" } as const;
  const rows: [Variables, object, hasKey: boolean, missing: RegExp | undefined][] = [
    [{}, {}, false, /api_key.*OPENAI_API_KEY/],
    [{}, {}, true, undefined],
    [key, {}, false, undefined],
    [key, userUrl, false, /api_key/],
    [{}, compatible, false, /base_url.*LLM_BASE_URL/],
    [base, compatible, false, undefined],
    [{}, { ...compatible, ...userUrl }, false, undefined],
    [{}, { provider: "local" }, false, undefined],
    [{}, { provider: "mock" }, false, undefined],
  ];
  for (const [variables, change, hasKey, missing] of rows) {
    const title = JSON.stringify([Object.keys(variables), change, hasKey]);
    test(`is ${missing ? "named" : "nothing"} for ${title}`, () => {
      const catalog = open(variables);
      const config = { ...plainConfig, modelName: "echo", ...change };
      const sentence = catalog.missing(config, hasKey);
      if (missing) assert.match(sentence ?? "", missing);
      else assert.equal(sentence, undefined);
      const make = () => catalog.open(config, hasKey ? "sk-own" : undefined);
      if (missing) assert.throws(make, { code: "provider_not_configured" });
      else assert.ok(make());
    });
  }
});

describe("the key that is sent", () => {
  const variables = { ...key, ...base, OPENAI_COMPATIBLE_API_KEY: "sk-server" };
  for (const provider of ["openai", "openai-compatible"] as const) {
    for (const own of [undefined, "sk-own"]) {
      for (const baseUrl of [undefined, "https://llm.example.com/v1"]) {
        const expected = own ?? (baseUrl === undefined ? "sk-server" : undefined);
        const title = `${expected} for ${provider} with ${own} at ${baseUrl ?? "the server's URL"}`;
        test(`is ${title}`, async (t) => {
          const sent: [string, string | null][] = [];
          const spy =
            (through: string): typeof fetch =>
            (_, init) => {
              sent.push([through, new Headers(init?.headers).get("authorization")]);
              return Promise.resolve(new Response("{}", { status: 500 }));
            };
          t.mock.method(globalThis, "fetch", spy("plain"));
          const catalog = open(variables, "ready", spy("guarded"));
          const config = { ...plainConfig, provider, ...(baseUrl !== undefined && { baseUrl }) };
          const call = async () => catalog.open(config, own).doStream({ prompt: [] });
          await assert.rejects(call);
          const through = baseUrl === undefined ? "plain" : "guarded";
          const isRefused = provider === "openai" && expected === undefined;
          const authorization = expected === undefined ? null : `Bearer ${expected}`;
          assert.deepEqual(sent, isRefused ? [] : [[through, authorization]]);
        });
      }
    }
  }
});
