import type { ErrorCode } from "../errors.ts";
import type { Route } from "./routes.ts";

type Rule = Readonly<{ applies: (route: Route) => boolean; codes: readonly ErrorCode[] }>;

/** What a route can answer because of its kind, so that routes.ts names only what is its own. */
const rules: readonly Rule[] = [
  {
    applies: () => true,
    codes: ["bad_request", "internal_error", "forbidden", "proxy_in_local_mode"],
  },
  {
    applies: (route) => route.tag !== "operation",
    codes: ["rate_limited", "service_unavailable", "storage_unavailable", "shutting_down"],
  },
  {
    applies: (route) => route.auth,
    codes: ["unauthorized", "token_expired", "origin_not_allowed"],
  },
  {
    applies: (route) => route.body !== undefined,
    codes: ["payload_too_large", "unsupported_media_type"],
  },
  { applies: (route) => route.body?.type === "json", codes: ["invalid_input"] },
  { applies: (route) => route.body?.type === "form", codes: ["invalid_request"] },
  { applies: (route) => route.query !== undefined, codes: ["invalid_input"] },
];

/** Returns every code that `route` may answer with: its own first, then those of its kind; none twice. */
export function errorCodesOf(route: Route): readonly ErrorCode[] {
  const implied = rules.filter((rule) => rule.applies(route)).flatMap((rule) => rule.codes);
  return [...new Set([...route.errors, ...implied])];
}
