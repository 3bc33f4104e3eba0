import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { Ajv2020 } from "ajv/dist/2020.js";
import { errorTable } from "../errors.ts";
import { webSocketContract } from "../ws/contract.ts";
import { openApiDocument } from "./openapi.ts";
import { errorCodesOf } from "./route-errors.ts";
import { routes, type Route } from "./routes.ts";
import { Problem, TokenError } from "./schemas.ts";

type Json = { [key: string]: Json } & Json[];
type Content = Record<string, { schema: Json; examples?: Record<string, { $ref: string }> }>;
type Operation = {
  operationId: string;
  security: object[];
  parameters: { in: string; name: string; required?: boolean; schema: Json }[];
  requestBody?: { required: boolean; content: Content };
  responses: Record<string, { description: string; headers?: object; content?: Content }>;
};

const document = JSON.parse(JSON.stringify(openApiDocument({ version: "1.2.3" }))) as Json;
const table = Object.entries<Route>(routes);

function operationOf(route: Route): Operation {
  const operation = document.paths?.[route.path]?.[route.method.toLowerCase()];
  assert.ok(operation, `${route.method} ${route.path}`);
  return operation as unknown as Operation;
}

function resolve(pointer: string): Json | undefined {
  const keys = pointer.slice("#/".length).split("/");
  return keys.reduce<Json | undefined>((value, key) => value?.[key], document);
}

describe("openApiDocument", () => {
  it("names the service, the version asked for and the 3.1 specification", () => {
    assert.equal(document.openapi, "3.1.1");
    assert.equal(document.info?.title, "LLM Service");
    assert.equal(document.info?.version, "1.2.3");
  });

  it("is the same text each time", () => {
    const again = openApiDocument({ version: "1.2.3" });
    assert.equal(JSON.stringify(again), JSON.stringify(document));
  });

  it("has every route and nothing else, each under an id of its own", () => {
    const documented = Object.entries(document.paths ?? {}).flatMap(([path, item]) =>
      Object.keys(item).map((method) => `${method.toUpperCase()} ${path}`),
    );
    assert.deepEqual(
      documented.toSorted(),
      table.map(([, { method, path }]) => `${method} ${path}`).toSorted(),
    );
    for (const [name, route] of table) assert.equal(operationOf(route).operationId, name);
  });

  it("resolves every reference within itself", () => {
    const references = [...JSON.stringify(document).matchAll(/"\$ref":"([^"]+)"/g)];
    assert.ok(references.length > 100);
    for (const [, reference = ""] of references) assert.ok(resolve(reference), reference);
  });

  it("declares every path parameter as required", () => {
    for (const [, route] of table) {
      const declared = operationOf(route).parameters.filter((parameter) => parameter.in === "path");
      assert.deepEqual(
        declared.map(({ name, required }) => `{${name}} ${required}`),
        [...route.path.matchAll(/\{\w+\}/g)].map(([name]) => `${name} true`),
      );
    }
  });

  it("asks for a token where the route does, by bearer or by the password flow at /token", () => {
    for (const [, route] of table) {
      const schemes = operationOf(route).security.flatMap((scheme) => Object.keys(scheme));
      assert.deepEqual(schemes, route.auth ? ["bearer", "password"] : [], route.path);
    }
    const schemes = document.components?.securitySchemes;
    assert.equal(schemes?.bearer?.scheme, "bearer");
    assert.equal(schemes?.password?.flows?.password?.tokenUrl, "/token");
  });

  it("describes every code a route can answer, under its status", () => {
    for (const [name, route] of table) {
      const { responses } = operationOf(route);
      const statuses = new Set([`${route.success.status}`]);
      for (const code of errorCodesOf(route)) {
        const status = `${errorTable[code].status}`;
        statuses.add(status);
        assert.ok(responses[status]?.description.includes(`\`${code}\``), `${name}: ${code}`);
      }
      assert.deepEqual(new Set(Object.keys(responses)), statuses, name);
    }
  });

  it("answers errors as problems, and those of OAuth in OAuth's own shape", () => {
    const shapeOf = (route: Route, status: number) =>
      Object.entries(operationOf(route).responses[status]?.content ?? {}).map(
        ([mediaType, { schema }]) => `${mediaType} ${String(schema.$ref)}`,
      );
    const oauth = ["application/json #/components/schemas/TokenError"];
    const problem = ["application/problem+json #/components/schemas/Problem"];
    assert.deepEqual(shapeOf(routes.token, 400), [...oauth, ...problem]);
    assert.deepEqual(shapeOf(routes.token, 401), oauth);
    assert.deepEqual(shapeOf(routes.token, 429), problem);
    assert.deepEqual(shapeOf(routes.chat, 409), problem);
  });

  it("shows for every code an example that its own schema accepts", () => {
    for (const [, route] of table) {
      const failures = Object.entries(operationOf(route).responses)
        .filter(([status]) => Number(status) >= 400)
        .flatMap(([, { content }]) => Object.entries(content ?? {}));
      const shown = failures.flatMap(([mediaType, { examples = {} }]) => {
        const schema = mediaType === "application/json" ? TokenError : Problem;
        for (const { $ref } of Object.values(examples)) {
          schema.strict().parse(resolve($ref)?.value);
        }
        return Object.keys(examples);
      });
      assert.deepEqual(new Set(shown), new Set(errorCodesOf(route)), route.path);
    }
  });

  it("names the header that a status comes with", () => {
    const { responses } = operationOf(routes.chat);
    assert.deepEqual(Object.keys(responses["401"]?.headers ?? {}), ["WWW-Authenticate"]);
    assert.deepEqual(Object.keys(responses["503"]?.headers ?? {}), ["Retry-After"]);
    assert.equal(responses["409"]?.headers, undefined);
  });

  it("names the media types of bodies and of every form of an answer", () => {
    const types = (part: { content?: object } | undefined) => Object.keys(part?.content ?? {});
    assert.deepEqual(types(operationOf(routes.token).requestBody), [
      "application/x-www-form-urlencoded",
    ]);
    assert.deepEqual(types(operationOf(routes.chat).requestBody), ["application/json"]);
    assert.deepEqual(types(operationOf(routes.chat).responses["200"]), [
      "application/json",
      "text/event-stream",
    ]);
    assert.deepEqual(types(operationOf(routes.deleteSession).responses["204"]), []);
    assert.equal(operationOf(routes.forkSession).requestBody?.required, false);
  });

  it("spreads a query into parameters with their defaults", () => {
    const limit = operationOf(routes.listSessions).parameters.find(({ name }) => name === "limit");
    assert.deepEqual(limit, {
      in: "query",
      name: "limit",
      schema: { type: "integer", minimum: 1, maximum: 200, default: 50 },
    });
  });

  it("keeps examples, and closes strict requests but not the token's form", () => {
    const components = document.components?.schemas;
    assert.equal(components?.SetLlmRequest?.example?.model_name, "gpt-4");
    assert.equal(components?.SetLlmRequest?.additionalProperties, false);
    assert.equal(components?.SetLlmResponse?.additionalProperties, false);
    assert.equal(components?.TokenRequest?.additionalProperties, undefined);
    assert.doesNotMatch(JSON.stringify(components), new RegExp(`${Number.MAX_SAFE_INTEGER}`));
    assert.deepEqual(
      Object.keys(components ?? {}).filter((name) => /Output$|^__/.test(name)),
      [],
    );
  });

  it("holds schemas that a JSON Schema validator compiles", () => {
    const ajv = new Ajv2020({ keywords: ["example"], formats: { "date-time": true } });
    ajv.addVocabulary(["components"]);
    ajv.addSchema({ components: document.components }, "api");
    for (const name of Object.keys(document.components?.schemas ?? {})) {
      const validate = ajv.compile({ $ref: `api#/components/schemas/${name}` });
      assert.equal(validate(Symbol("nothing of JSON")), false, name);
    }
  });

  it("lists the WebSocket's addresses, protocols and every close code that an error has", () => {
    assert.deepEqual(Object.keys(document["x-websocket"]?.paths ?? {}), [
      "/ws/{session_id}",
      "/ws/new",
    ]);
    const described = Object.keys(webSocketContract.closeCodes);
    for (const [code, { closeCode }] of Object.entries(errorTable)) {
      assert.ok(described.includes(`${closeCode}`), code);
    }
    const text = String(document.info?.description);
    for (const code of described) assert.ok(text.includes(`| \`${code}\` |`), code);
  });
});
