import type {
  Health,
  Message,
  MessageList,
  Problem,
  RegisterRequest,
  RegisterResponse,
  Session,
  SessionList,
  SetLlmRequest,
  SetLlmResponse,
  StopResponse,
} from "#lib/api/schemas.ts";

type FieldProblem = Readonly<{ path: string; message: string }>;

export type ApiErrorCode = Problem["code"] | "unreachable" | "unreadable";

/** An answer that is not a success, or none at all: `code` is then `unreachable`, `status` 0. */
export class ApiError extends Error {
  override readonly name = "ApiError";
  readonly code: ApiErrorCode;
  readonly status: number;
  /** The refused fields, each with a sentence to show beside it. */
  readonly errors: readonly FieldProblem[];

  constructor(
    message: string,
    {
      code,
      status,
      errors = [],
    }: Readonly<{
      code: ApiErrorCode;
      status: number;
      errors?: readonly FieldProblem[] | undefined;
    }>,
  ) {
    super(message);
    this.code = code;
    this.status = status;
    this.errors = errors;
  }
}

type Fetch = (path: string, init: RequestInit) => Promise<Response>;

/** What the pages ask of the HTTP API. Every method raises {@link ApiError} and nothing else. */
export type ApiClient = Readonly<{
  health: () => Promise<Health>;
  register: (account: RegisterRequest) => Promise<RegisterResponse>;
  setLlm: (settings: SetLlmRequest) => Promise<SetLlmResponse>;
  listSessions: (page?: Readonly<{ limit?: number; cursor?: string }>) => Promise<SessionList>;
  getSession: (id: string) => Promise<Session>;
  stopSession: (id: string) => Promise<StopResponse>;
  /** The whole conversation, page after page. */
  listMessages: (sessionId: string) => Promise<Message[]>;
}>;

const largestPage = 200;

/**
 * A client of this origin's API; the browser adds the cookie. Answers are not validated: the server's
 * tests hold every one against its schema, and zod would double the weight of the chat page.
 */
export function createApiClient(fetcher: Fetch = (path, init) => fetch(path, init)): ApiClient {
  const get = <T>(path: string): Promise<T> => request<T>(fetcher, path);
  const post = <T>(path: string, body: unknown): Promise<T> => request<T>(fetcher, path, body);
  return {
    health: () => get("/health"),
    register: (account) => post("/register", account),
    setLlm: (settings) => post("/set-llm", settings),
    listSessions: ({ limit, cursor } = {}) => get(`/sessions${query({ limit, cursor })}`),
    getSession: (id) => get(`/sessions/${encodeURIComponent(id)}`),
    stopSession: (id) => post(`/sessions/${encodeURIComponent(id)}/stop`, {}),
    listMessages: async (sessionId) => {
      const path = `/sessions/${encodeURIComponent(sessionId)}/messages`;
      const messages: Message[] = [];
      let cursor: string | undefined;
      do {
        const page = await get<MessageList>(`${path}${query({ limit: largestPage, cursor })}`);
        messages.push(...page.data);
        cursor = page.next_cursor ?? undefined;
      } while (cursor !== undefined);
      return messages;
    },
  };
}

async function request<T>(fetcher: Fetch, path: string, body?: unknown): Promise<T> {
  const response = await answerOf(fetcher, path, body);
  const content: unknown = await response.json().catch(() => undefined);
  if (!response.ok) throw errorOf(response, content);
  if (content === undefined) throw unreadable(response);
  return content as T;
}

async function answerOf(fetcher: Fetch, path: string, body: unknown): Promise<Response> {
  const headers = { accept: "application/json" };
  try {
    return await (body === undefined
      ? fetcher(path, { headers })
      : fetcher(path, {
          method: "POST",
          headers: { ...headers, "content-type": "application/json" },
          body: JSON.stringify(body),
        }));
  } catch {
    throw new ApiError("The server cannot be reached. Check the connection and try again.", {
      code: "unreachable",
      status: 0,
    });
  }
}

function errorOf(response: Response, content: unknown): ApiError {
  if (!isProblem(content)) return unreadable(response);
  const { detail, code, status, errors } = content;
  return new ApiError(detail, { code, status, errors });
}

function unreadable({ status }: Response): ApiError {
  return new ApiError(`The server gave an answer that cannot be read (status ${status}).`, {
    code: "unreadable",
    status,
  });
}

function isProblem(content: unknown): content is Problem {
  return (
    typeof content === "object" &&
    content !== null &&
    "code" in content &&
    "detail" in content &&
    typeof content.detail === "string"
  );
}

function query(parameters: Readonly<Record<string, string | number | undefined>>): string {
  const given = Object.entries(parameters).filter(([, value]) => value !== undefined);
  const search = new URLSearchParams(given.map(([name, value]) => [name, String(value)]));
  return search.size === 0 ? "" : `?${search}`;
}
