import nextAuth from "next-auth";
import type { NextRequest } from "next/server";
import { nextAuthOptions } from "#lib/api/next-auth.ts";

type Context = { params: Promise<{ nextauth: string[] }> };

/** The options need the running services, so they are made with each request and not at build time. */
function handle(request: NextRequest, context: Context): Promise<Response> {
  return nextAuth(request, context, nextAuthOptions()) as Promise<Response>;
}

export { handle as GET, handle as POST };
