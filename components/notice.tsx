import type { ReactNode } from "react";

type NoticeProps = Readonly<{
  tone?: "notice" | "danger";
  /** An alert is read out at once; a status when the reader pauses. */
  role?: "alert" | "status";
  children: ReactNode;
}>;

/** A few sentences that the person should not miss. */
export function Notice({ tone = "notice", role, children }: NoticeProps) {
  const look =
    tone === "danger"
      ? "border-danger text-danger bg-sheet"
      : "border-transparent bg-notice text-on-notice";
  return (
    <div
      role={role}
      className={`rounded-lg border px-3.5 py-2.5 text-label [&_a]:underline [&_a]:underline-offset-4 ${look}`}
    >
      {children}
    </div>
  );
}
