import type { ReactNode } from "react";

/** Pictures beside words or in named buttons, so assistive technology skips them. */
function Icon({ children }: Readonly<{ children: ReactNode }>) {
  return (
    <svg
      viewBox="0 0 20 20"
      className="size-5 shrink-0"
      fill="none"
      stroke="currentColor"
      strokeWidth="1.75"
      strokeLinecap="round"
      strokeLinejoin="round"
      aria-hidden="true"
    >
      {children}
    </svg>
  );
}

export function MenuIcon() {
  return (
    <Icon>
      <path d="M3 6h14M3 10h14M3 14h9" />
    </Icon>
  );
}

export function PlusIcon() {
  return (
    <Icon>
      <path d="M10 4v12M4 10h12" />
    </Icon>
  );
}

export function SendIcon() {
  return (
    <Icon>
      <path d="M10 16V4.500M5 9.500l5-5 5 5" />
    </Icon>
  );
}

export function StopIcon() {
  return (
    <Icon>
      <rect x="6" y="6" width="8" height="8" rx="1" fill="currentColor" />
    </Icon>
  );
}

export function DownIcon() {
  return (
    <Icon>
      <path d="M10 4v11.500M5 10.500l5 5 5-5" />
    </Icon>
  );
}

export function SlidersIcon() {
  return (
    <Icon>
      <path d="M3 6h7M14 6h3M3 14h3M10 14h7" />
      <circle cx="12" cy="6" r="2" />
      <circle cx="8" cy="14" r="2" />
    </Icon>
  );
}

/** The service's mark: a line in the margin, and what was written beside it. */
export function Mark() {
  return (
    <svg viewBox="0 0 32 32" className="size-7 shrink-0" aria-hidden="true">
      <rect width="32" height="32" rx="8" fill="#17694f" />
      <g strokeLinecap="round">
        <path d="M9 8v16" stroke="#79cdac" strokeWidth="3" />
        <path d="M14.500 11h8.500M14.500 16h8.500M14.500 21h5" stroke="#fff" strokeWidth="2.500" />
      </g>
    </svg>
  );
}
