import type { ComponentProps } from "react";

type Look = "primary" | "quiet";

const looks: Record<Look, string> = {
  primary: "bg-accent text-on-accent hover:opacity-90",
  quiet: "border border-field-line text-ink hover:bg-bubble",
};

/** A button with words on it, tall enough for a finger. */
export function ActionButton({
  look = "primary",
  className = "",
  ...button
}: ComponentProps<"button"> & Readonly<{ look?: Look }>) {
  return (
    <button
      type="button"
      {...button}
      className={`min-h-11 rounded-lg px-4 text-label font-medium disabled:opacity-60 ${looks[look]} ${className}`}
    />
  );
}
