import type { ComponentProps } from "react";

type Look = "primary" | "quiet";

const looks: Record<Look, string> = {
  primary: "min-h-11 bg-accent text-on-accent hover:opacity-90",
  quiet: "min-h-9 border border-field-line text-ink hover:bg-bubble pointer-coarse:min-h-11",
};

/** A button with words on it, tall enough for a finger where fingers are used. */
export function ActionButton({
  look = "primary",
  className = "",
  ...button
}: ComponentProps<"button"> & Readonly<{ look?: Look }>) {
  return (
    <button
      type="button"
      {...button}
      className={`rounded-lg px-4 text-label font-medium disabled:opacity-60 ${looks[look]} ${className}`}
    />
  );
}
