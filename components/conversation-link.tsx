import type { ComponentProps, MouseEvent } from "react";

/** The address of a conversation; null is a new one. */
export function conversationPath(sessionId: string | null): string {
  return sessionId === null ? "/" : `/c/${sessionId}`;
}

/** The conversation that an address of the chat names, or null for a new one. */
export function sessionIdOf(pathname: string): string | null {
  const [, encoded] = /^\/c\/([^/]+)$/.exec(pathname) ?? [];
  return encoded === undefined ? null : decodeURIComponent(encoded);
}

type ConversationLinkProps = Omit<ComponentProps<"a">, "href"> &
  Readonly<{ sessionId: string | null }>;

/**
 * Leads to a conversation without asking the server for a page, as all of them are this one: the
 * router takes notice of what is pushed on the history.
 */
export function ConversationLink({
  sessionId,
  onClick,
  children,
  ...anchor
}: ConversationLinkProps) {
  const path = conversationPath(sessionId);
  const open = (event: MouseEvent<HTMLAnchorElement>) => {
    onClick?.(event);
    const wantsAnotherTab = event.metaKey || event.ctrlKey || event.shiftKey || event.altKey;
    if (event.defaultPrevented || wantsAnotherTab || event.button !== 0) return;
    event.preventDefault();
    history.pushState(null, "", path);
  };
  return (
    <a {...anchor} href={path} onClick={open}>
      {children}
    </a>
  );
}
