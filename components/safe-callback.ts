const anywhere = "http://origin.invalid";

/**
 * The path to go to after signing in. Takes what stands in the address bar, which anybody can write,
 * so anything but a path of this origin becomes `/`.
 */
export function safeCallback(callbackUrl: string | null | undefined, origin = anywhere): string {
  if (!callbackUrl || !URL.canParse(callbackUrl, origin)) return "/";
  const url = new URL(callbackUrl, origin);
  if (url.origin !== origin || url.pathname.startsWith("//")) return "/";
  return `${url.pathname}${url.search}${url.hash}`;
}

/** The sign-in page that leads back to `path`. */
export function loginPathFor(path: string): string {
  return path === "/" ? "/login" : `/login?${new URLSearchParams({ callbackUrl: path })}`;
}
