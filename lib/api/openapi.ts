import { z } from "zod";
import {
  createDocument,
  type ZodObjectInput,
  type ZodOpenApiObject,
  type ZodOpenApiOperationObject,
  type ZodOpenApiOverride,
  type ZodOpenApiPathsObject,
} from "zod-openapi";
import { webSocketContract } from "../ws/contract.ts";
import { frameSchemasPath } from "../ws/frame-schemas.ts";
import { apiDescription } from "./description.ts";
import { responseComponents, responsesOf } from "./openapi-responses.ts";
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

const pathParameters: Readonly<Record<string, z.ZodType>> = { id: schemas.Ulid };

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
    components: { schemas: namedSchemas(), securitySchemes, ...responseComponents },
    "x-websocket": { ...webSocketContract, frames: frameSchemasPath },
  };
  return createDocument(document, { override: sayWhatIsMeant });
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
    responses: responsesOf(route),
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
 * zod-openapi sees two shapes and publishes both, one as `<name>Output`. And every whole number has
 * JavaScript's bounds, which say nothing and end up in readers' examples.
 */
const sayWhatIsMeant: ZodOpenApiOverride = ({ zodSchema, jsonSchema }) => {
  if (zodSchema._zod.def.type === "object" && !requestSchemas.has(zodSchema)) {
    jsonSchema.additionalProperties = false;
  }
  if (jsonSchema.maximum === Number.MAX_SAFE_INTEGER) delete jsonSchema.maximum;
  if (jsonSchema.minimum === Number.MIN_SAFE_INTEGER) delete jsonSchema.minimum;
};
