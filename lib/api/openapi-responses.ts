import type {
  ZodOpenApiContentObject,
  ZodOpenApiResponseObject,
  ZodOpenApiResponsesObject,
} from "zod-openapi";
import { AppError, errorCodes, errorTable, type ErrorCode } from "../errors.ts";
import { frameSchemasPath } from "../ws/frame-schemas.ts";
import { toProblem } from "./problem.ts";
import { errorCodesOf } from "./route-errors.ts";
import type { Route } from "./routes.ts";
import { Problem, TokenError } from "./schemas.ts";

const textDescriptions: Readonly<Record<string, string>> = {
  "text/event-stream": `Each event's data is a ServerFrame of ${frameSchemasPath}, its id the frame's seq.`,
};

const oauthCodes: ReadonlySet<string> = new Set(TokenError.shape.error.options);

const isOAuth = (code: ErrorCode): boolean => oauthCodes.has(code);

const headers = {
  "WWW-Authenticate": {
    description: "How to authenticate (RFC 6750).",
    schema: { type: "string" },
  },
  "Retry-After": {
    description: "Seconds to wait before another try.",
    schema: { type: "integer", minimum: 0 },
  },
} as const;

const headersOfStatus: Readonly<Record<number, keyof typeof headers>> = {
  401: "WWW-Authenticate",
  429: "Retry-After",
  503: "Retry-After",
};

/** What the answers of {@link responsesOf} refer to. */
export const responseComponents = {
  headers,
  examples: Object.fromEntries(errorCodes.map((code) => [code, { value: errorBody(code) }])),
};

/** Returns the answers of a route by status: its success, and its errors grouped with their codes. */
export function responsesOf(route: Route): ZodOpenApiResponsesObject {
  const byStatus = Map.groupBy(errorCodesOf(route), (code) => errorTable[code].status);
  const failures = [...byStatus].map(([status, codes]) => [status, failure(status, codes)]);
  return { [route.success.status]: success(route), ...Object.fromEntries(failures) };
}

function success({ success: { description, schema, alsoAs = [] } }: Route) {
  const content: ZodOpenApiContentObject = schema ? { "application/json": { schema } } : {};
  for (const mediaType of alsoAs) {
    content[mediaType] = { schema: { type: "string", description: textDescriptions[mediaType] } };
  }
  return { description, ...(Object.keys(content).length > 0 && { content }) };
}

function failure(status: number, codes: readonly ErrorCode[]): ZodOpenApiResponseObject {
  const oauth = codes.filter(isOAuth);
  const plain = codes.filter((code) => !isOAuth(code));
  const header = headersOfStatus[status];
  return {
    description: codes.map((code) => `- \`${code}\`: ${errorTable[code].text}`).join("\n"),
    ...(header && { headers: { [header]: { $ref: `#/components/headers/${header}` } } }),
    content: {
      ...(oauth.length > 0 && {
        "application/json": { schema: TokenError, examples: examples(oauth) },
      }),
      ...(plain.length > 0 && {
        "application/problem+json": { schema: Problem, examples: examples(plain) },
      }),
    },
  };
}

function examples(codes: readonly ErrorCode[]) {
  return Object.fromEntries(codes.map((code) => [code, { $ref: `#/components/examples/${code}` }]));
}

function errorBody(code: ErrorCode): object {
  if (!isOAuth(code)) return toProblem(new AppError(code));
  const { text } = errorTable[code];
  return { error: code, error_description: text, detail: text };
}
