import nextAuth from "next-auth";
import type { NextRequest } from "next/server";
import { refuseMethod } from "#lib/api/dispatch.ts";
import { nextAuthOptions } from "#lib/api/next-auth.ts";
import { toProblemResponse } from "#lib/api/problem.ts";
import { AppError } from "#lib/errors.ts";

type Context = { params: Promise<{ nextauth: string[] }> };

/**
 * The options need the running services, so they are made with each request and not at build time.
 * What next-auth answers with 500 although the client is wrong gets an answer of its own.
 */
async function handle(request: NextRequest, context: Context): Promise<Response> {
  const [action] = (await context.params).nextauth;
  if (action === "callback" && request.method === "GET") return refuseMethod("POST");
  try {
    return (await nextAuth(request, context, nextAuthOptions())) as Response;
  } catch (error) {
    if (error instanceof SyntaxError) return toProblemResponse(new AppError("bad_request"));
    throw error;
  }
}

export { handle as GET, handle as POST };
