import { headers } from "next/headers";
import { redirect } from "next/navigation";
import type { Principal } from "#lib/auth/authenticate.ts";
import { isAppError } from "#lib/errors.ts";
import { services } from "#lib/services.ts";

/** Who looks at the page, or null. Only for reading: a page changes nothing by being looked at. */
export async function currentPrincipal(): Promise<Principal | null> {
  try {
    const received = new Headers(await headers());
    return await services().authenticator.authenticate({
      headers: received,
      mustBeSameOrigin: false,
    });
  } catch (error) {
    if (isAppError(error)) return null;
    throw error;
  }
}

/** Who looks at the page; sends strangers to sign in, and back to this page after it. */
export async function requirePrincipal(): Promise<Principal> {
  const principal = await currentPrincipal();
  if (principal) return principal;
  const path = (await headers()).get("x-page-path") ?? "/";
  return redirect(`/login?callbackUrl=${encodeURIComponent(path)}`);
}

/** Whether the demonstration account exists. */
export function isLocalMode(): boolean {
  return services().env.localMode;
}
