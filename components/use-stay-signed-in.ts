import { useEffect } from "react";

const renewalIntervalMs = 5 * 60_000;

/** Renews the cookie of a page that is looked at, so that a sign-in ends by disuse and not while one reads. */
export function useStaySignedIn(): void {
  useEffect(() => {
    const renew = () => {
      // A renewal that fails changes nothing: the sign-in just ends at its time.
      if (document.visibilityState === "visible") fetch("/api/auth/session").catch(() => undefined);
    };
    const timer = setInterval(renew, renewalIntervalMs);
    document.addEventListener("visibilitychange", renew);
    return () => {
      clearInterval(timer);
      document.removeEventListener("visibilitychange", renew);
    };
  }, []);
}
