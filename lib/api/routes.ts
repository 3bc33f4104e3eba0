import type { z } from "zod";
import type { ErrorCode } from "../errors.ts";
import {
  ChatRequest,
  ChatResponse,
  ExportQuery,
  ForkRequest,
  Health,
  MessageList,
  MessageListQuery,
  Readiness,
  RegisterRequest,
  RegisterResponse,
  Session,
  SessionExport,
  SessionList,
  SessionListQuery,
  SessionUpdate,
  SetLlmRequest,
  SetLlmResponse,
  StopResponse,
  TokenRequest,
  TokenResponse,
} from "./schemas.ts";

export type Method = "GET" | "POST" | "PATCH" | "DELETE";

/**
 * One row of the HTTP contract. The handler validates by it, the dispatcher routes by it, the
 * OpenAPI document is made from it and the tests check every answer against it.
 */
export type Route = Readonly<{
  method: Method;
  /** `{name}` stands for one path segment. */
  path: `/${string}`;
  summary: string;
  tag: "accounts" | "chat" | "sessions" | "operation";
  /** Whether a signed-in principal is required. */
  auth: boolean;
  body?: Readonly<{ schema: z.ZodType; type: "json" | "form"; optional?: boolean }>;
  query?: z.ZodType;
  success: Readonly<{
    status: 200 | 201 | 204;
    description: string;
    /** Left out: an answer without a body. */
    schema?: z.ZodType;
    /** Other media types of the same answer, chosen by Accept or by the query. */
    alsoAs?: readonly string[];
  }>;
  /** Codes beside those that every route of its kind can answer. */
  errors: readonly ErrorCode[];
}>;

export const routes = {
  token: {
    method: "POST",
    path: "/token",
    summary: "Exchange a username and password for an access token",
    tag: "accounts",
    auth: false,
    body: { schema: TokenRequest, type: "form" },
    success: { status: 200, description: "The token.", schema: TokenResponse },
    errors: ["invalid_request", "unsupported_grant_type", "invalid_grant"],
  },
  register: {
    method: "POST",
    path: "/register",
    summary: "Create an account",
    tag: "accounts",
    auth: false,
    body: { schema: RegisterRequest, type: "json" },
    success: { status: 201, description: "The account.", schema: RegisterResponse },
    errors: ["username_taken", "signup_disabled"],
  },
  setLlm: {
    method: "POST",
    path: "/set-llm",
    summary: "Make a session with a model's configuration, or reconfigure one",
    tag: "chat",
    auth: true,
    body: { schema: SetLlmRequest, type: "json" },
    success: { status: 200, description: "The session.", schema: SetLlmResponse },
    errors: ["not_found", "invalid_base_url", "api_key_required"],
  },
  chat: {
    method: "POST",
    path: "/chat",
    summary: "Send a message and get the answer, whole or as server-sent events",
    tag: "chat",
    auth: true,
    body: { schema: ChatRequest, type: "json" },
    success: {
      status: 200,
      description: "The whole answer; with Accept: text/event-stream, its frames as they come.",
      schema: ChatResponse,
      alsoAs: ["text/event-stream"],
    },
    errors: [
      "not_found",
      "turn_in_progress",
      "provider_not_configured",
      "payload_too_large",
      "context_length_exceeded",
      "upstream_error",
      "upstream_rejected",
      "upstream_timeout",
      "model_unavailable",
      "shutting_down",
    ],
  },
  listSessions: {
    method: "GET",
    path: "/sessions",
    summary: "List one's sessions, newest first, or search them",
    tag: "sessions",
    auth: true,
    query: SessionListQuery,
    success: { status: 200, description: "A page of sessions.", schema: SessionList },
    errors: [],
  },
  getSession: {
    method: "GET",
    path: "/sessions/{id}",
    summary: "Read one session",
    tag: "sessions",
    auth: true,
    success: { status: 200, description: "The session.", schema: Session },
    errors: ["not_found"],
  },
  updateSession: {
    method: "PATCH",
    path: "/sessions/{id}",
    summary: "Rename a session",
    tag: "sessions",
    auth: true,
    body: { schema: SessionUpdate, type: "json" },
    success: { status: 200, description: "The session as it is now.", schema: Session },
    errors: ["not_found"],
  },
  deleteSession: {
    method: "DELETE",
    path: "/sessions/{id}",
    summary: "Delete a session with its history; a running turn is stopped",
    tag: "sessions",
    auth: true,
    success: { status: 204, description: "Gone." },
    errors: ["not_found"],
  },
  listMessages: {
    method: "GET",
    path: "/sessions/{id}/messages",
    summary: "Read the conversation; a running answer is there as far as it has come",
    tag: "sessions",
    auth: true,
    query: MessageListQuery,
    success: { status: 200, description: "A page of messages.", schema: MessageList },
    errors: ["not_found"],
  },
  stopSession: {
    method: "POST",
    path: "/sessions/{id}/stop",
    summary: "Stop the running turn and close the provider's connection",
    tag: "sessions",
    auth: true,
    success: { status: 200, description: "Whether a turn was stopped.", schema: StopResponse },
    errors: ["not_found"],
  },
  forkSession: {
    method: "POST",
    path: "/sessions/{id}/fork",
    summary: "Copy a session, up to a message, into a new one",
    tag: "sessions",
    auth: true,
    body: { schema: ForkRequest, type: "json", optional: true },
    success: { status: 201, description: "The new session.", schema: Session },
    errors: ["not_found", "turn_in_progress"],
  },
  exportSession: {
    method: "GET",
    path: "/sessions/{id}/export",
    summary: "Download a session as JSON or Markdown",
    tag: "sessions",
    auth: true,
    query: ExportQuery,
    success: {
      status: 200,
      description: "The session.",
      schema: SessionExport,
      alsoAs: ["text/markdown"],
    },
    errors: ["not_found"],
  },
  health: {
    method: "GET",
    path: "/health",
    summary: "Whether the process lives, and which model answers",
    tag: "operation",
    auth: false,
    success: { status: 200, description: "It lives.", schema: Health },
    errors: [],
  },
  ready: {
    method: "GET",
    path: "/ready",
    summary: "Whether new work is taken: 503 while draining or without the database",
    tag: "operation",
    auth: false,
    success: { status: 200, description: "It takes work.", schema: Readiness },
    errors: ["shutting_down", "storage_unavailable"],
  },
} as const satisfies Record<string, Route>;

export type RouteName = keyof typeof routes;
