import { z } from "zod";
import {
  createDocument,
  type ZodObjectInput,
  type ZodOpenApiContentObject,
  type ZodOpenApiObject,
  type ZodOpenApiOperationObject,
  type ZodOpenApiOverride,
  type ZodOpenApiPathsObject,
  type ZodOpenApiResponseObject,
  type ZodOpenApiResponsesObject,
} from "zod-openapi";
import { errorTable, type ErrorCode } from "../errors.ts";
import { webSocketContract } from "../ws/contract.ts";
import { frameSchemasPath } from "../ws/frame-schemas.ts";
import { apiDescription } from "./description.ts";
import { errorCodesOf } from "./route-errors.ts";
import { routes, type Route } from "./routes.ts";
import * as schemas from "./schemas.ts";

const bodyMediaTypes = {
  json: "application/json",
  form: "application/x-www-form-urlencoded",
} as const satisfies Record<NonNullable<Route["body"]>["type"], string>;

const tagDescriptions: Record<Route["tag"], string> = {
  accounts: "Tokens and sign-up.",
  chat: "Configure a model and talk to it.",
  sessions: "Stored conversations.",
  operation: "For those who run the service.",
};

const textDescriptions: Readonly<Record<string, string>> = {
  "text/event-stream": `Each event's data is a ServerFrame of ${frameSchemasPath}, its id the frame's seq.`,
};

const pathParameters: Readonly<Record<string, z.ZodType>> = { id: schemas.Ulid };

const oauthCodes: ReadonlySet<string> = new Set(schemas.TokenError.shape.error.options);

/** Headers of an answer beside those that every answer has. */
const headersOfStatus: Readonly<Record<number, readonly string[]>> = {
  401: ["WWW-Authenticate"],
  429: ["Retry-After"],
  503: ["Retry-After"],
};

const headerDescriptions = {
  "X-Request-Id": "Names this request in the server's log.",
  "Server-Timing": "Where the time went (W3C Server Timing).",
  "WWW-Authenticate": "How to authenticate (RFC 6750).",
  "Retry-After": "Seconds to wait before another try.",
} as const;

/**
 * Returns the OpenAPI 3.1 document of the HTTP contract, made from the routes table, the error table
 * and the zod schemas that validate requests, so that it cannot say anything else than the code does.
 * Answers are described closed: a field that is not described is not sent.
 */
export function openApiDocument(options: { version: string }): object {
  const document: ZodOpenApiObject = {
    openapi: "3.1.1",
    info: {
      title: "LLM Service",
      version: options.version,
      description: apiDescription,
      license: { name: "MIT", identifier: "MIT" },
    },
    externalDocs: { url: frameSchemasPath, description: "JSON Schemas of the WebSocket's frames" },
    servers: [{ url: "/" }],
    tags: Object.entries(tagDescriptions).map(([name, description]) => ({ name, description })),
    paths: paths(),
    components: { schemas: namedSchemas(), headers: headers(), securitySchemes },
    "x-websocket": { ...webSocketContract, frames: frameSchemasPath },
  };
  return createDocument(document, { override: closeWhatIsSent });
}

const securitySchemes = {
  bearer: {
    type: "http",
    scheme: "bearer",
    bearerFormat: "JWT",
    description: "A token from POST /token; the browser's cookie carries the same one.",
  },
  password: { type: "oauth2", flows: { password: { tokenUrl: "/token", scopes: {} } } },
} as const;

function paths(): ZodOpenApiPathsObject {
  const items: ZodOpenApiPathsObject = {};
  for (const [name, route] of Object.entries<Route>(routes)) {
    const method = route.method.toLowerCase() as Lowercase<Route["method"]>;
    items[route.path] = { ...items[route.path], [method]: operation(name, route) };
  }
  return items;
}

function operation(operationId: string, route: Route): ZodOpenApiOperationObject {
  const names = [...route.path.matchAll(/\{(\w+)\}/g)].map(([, name = ""]) => name);
  const path = z.object(Object.fromEntries(names.map((name) => [name, pathParameter(name)])));
  return {
    operationId,
    tags: [route.tag],
    summary: route.summary,
    security: route.auth ? Object.keys(securitySchemes).map((name) => ({ [name]: [] })) : [],
    requestParams: {
      ...(names.length > 0 && { path }),
      // createDocument refuses a query that is not an object.
      ...(route.query && { query: route.query as ZodObjectInput }),
    },
    ...(route.body && { requestBody: requestBody(route.body) }),
    responses: { [route.success.status]: success(route), ...failures(route) },
  };
}

function pathParameter(name: string): z.ZodType {
  const schema = pathParameters[name];
  if (schema === undefined) throw new Error(`The path parameter {${name}} has no schema.`);
  return schema;
}

function requestBody({ type, schema, optional = false }: NonNullable<Route["body"]>) {
  return { required: !optional, content: { [bodyMediaTypes[type]]: { schema } } };
}

function success({ success: { status, description, schema, alsoAs = [] } }: Route) {
  const content: ZodOpenApiContentObject = schema ? { "application/json": { schema } } : {};
  for (const mediaType of alsoAs) {
    content[mediaType] = { schema: { type: "string", description: textDescriptions[mediaType] } };
  }
  return response(status, description, content);
}

function failures(route: Route): ZodOpenApiResponsesObject {
  const byStatus = Map.groupBy(errorCodesOf(route), (code) => errorTable[code].status);
  return Object.fromEntries(
    [...byStatus].map(([status, codes]) => [status, failure(status, codes)]),
  );
}

function failure(status: number, codes: readonly ErrorCode[]): ZodOpenApiResponseObject {
  const texts = codes.map((code) => `- \`${code}\`: ${errorTable[code].text}`);
  return response(status, texts.join("\n"), {
    ...(codes.some((code) => oauthCodes.has(code)) && {
      "application/json": { schema: schemas.TokenError },
    }),
    ...(codes.some((code) => !oauthCodes.has(code)) && {
      "application/problem+json": { schema: schemas.Problem },
    }),
  });
}

function response(
  status: number,
  description: string,
  content: ZodOpenApiContentObject,
): ZodOpenApiResponseObject {
  const names = ["X-Request-Id", "Server-Timing", ...(headersOfStatus[status] ?? [])];
  return {
    description,
    headers: Object.fromEntries(
      names.map((name) => [name, { $ref: `#/components/headers/${name}` }]),
    ),
    ...(Object.keys(content).length > 0 && { content }),
  };
}

function headers() {
  const entries = Object.entries(headerDescriptions);
  return Object.fromEntries(
    entries.map(([name, description]) => [name, { description, schema: { type: "string" } }]),
  ) as Record<string, { description: string; schema: { type: "string" } }>;
}

/** Queries are spread into parameters; every other shape is one component under its own name. */
function namedSchemas(): Record<string, z.ZodType> {
  const queries = new Set(Object.values<Route>(routes).map((route) => route.query));
  return Object.fromEntries(
    Object.entries<unknown>(schemas).filter(
      (entry): entry is [string, z.ZodType] =>
        entry[1] instanceof z.ZodType && !queries.has(entry[1]),
    ),
  );
}

const requestSchemas: ReadonlySet<unknown> = new Set(
  Object.values<Route>(routes).map((route) => route.body?.schema),
);

/**
 * A component that no request uses is an answer's on whichever pass it is made; without this
 * zod-openapi sees two shapes and publishes both, one as `<name>Output`.
 */
const closeWhatIsSent: ZodOpenApiOverride = ({ zodSchema, jsonSchema }) => {
  if (zodSchema._zod.def.type === "object" && !requestSchemas.has(zodSchema)) {
    jsonSchema.additionalProperties = false;
  }
};
