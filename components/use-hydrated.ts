import { useSyncExternalStore } from "react";

const subscribeToNothing = () => () => undefined;

/**
 * False in the HTML from the server and true once React listens. Buttons that only a script can serve
 * wait for it: pressed earlier, a form would be sent by the browser itself, with its fields in the URL.
 */
export function useHydrated(): boolean {
  return useSyncExternalStore(
    subscribeToNothing,
    () => true,
    () => false,
  );
}
