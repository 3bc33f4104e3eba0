import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { ProviderId, SetLlmRequest } from "#lib/api/schemas.ts";
import { providerChoices, readSettings } from "./settings-fields.ts";

function fieldsOf(values: Record<string, string>): FormData {
  const fields = new FormData();
  for (const [name, value] of Object.entries(values)) fields.set(name, value);
  return fields;
}

describe("readSettings", () => {
  it("makes a request that the schema takes and leaves out what is empty", () => {
    const request = readSettings(
      fieldsOf({
        provider: "",
        model_name: " gpt-4 ",
        temperature: "0.8",
        top_p: "0,95",
        max_tokens: " 2000 ",
        system_prompt: "Be brief.\n",
        api_key: "",
      }),
      null,
    );
    assert.deepEqual(SetLlmRequest.parse(request), {
      model_name: "gpt-4",
      temperature: 0.8,
      top_p: 0.95,
      max_tokens: 2000,
      system_prompt: "Be brief.\n",
    });
  });

  it("leaves a missing model and a number that is none to the schema", () => {
    const request = readSettings(fieldsOf({ model_name: "", temperature: "warm" }), null);
    const paths = SetLlmRequest.safeParse(request).error?.issues.map(({ path }) => path.join("."));
    assert.deepEqual(paths?.toSorted(), ["model_name", "temperature"]);
  });

  it("names the session that is to be reconfigured and keeps what the form does not show", () => {
    const request = readSettings(fieldsOf({ model_name: "echo", temperature: "" }), {
      id: "01KC0ZJ3V8T9Q2M4N6P8R0S2T4",
      config: { provider: "mock", model_name: "long", temperature: 1, seed: 7, api_key_set: true },
    });
    assert.deepEqual(SetLlmRequest.parse(request), {
      session_id: "01KC0ZJ3V8T9Q2M4N6P8R0S2T4",
      model_name: "echo",
      seed: 7,
    });
  });
});

describe("providerChoices", () => {
  it("offers every provider of the API, each with a name", () => {
    assert.deepEqual(
      providerChoices.map(({ id }) => id),
      ProviderId.options,
    );
    assert.ok(providerChoices.every(({ name }) => name !== ""));
  });
});
