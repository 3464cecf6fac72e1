/** The service, as the page sees it: a token that is renewed, calls, and live changes. */

export type Job = {
  id: string;
  status: "scheduled" | "processing" | "posted" | "failed" | "retrying";
  scheduledFor: string;
  postUrl: string | null;
  notice: string | null;
  failureReason: string | null;
  lastError: { userMessage: string } | null;
  post: { title: string };
  readiness: { problems: { message: string }[] } | null;
};

type Session = {
  token: string;
  expiresAt: string;
  url: string;
  projectId: string;
  sampleVideo: string;
};

/** An error of the service: `code` is for programs, the message for people. */
export class Problem extends Error {
  constructor(
    readonly status: number,
    readonly code: string,
    detail: string,
  ) {
    super(detail);
  }
}

const RENEW_BEFORE_MS = 5 * 60 * 1000;
let session: Promise<Session> | undefined;

/** Get a token, a new one some minutes before the old one ends. */
export async function signedIn(): Promise<Session> {
  session ??= post<Session>("/session");
  const known = await session.catch((error: unknown) => {
    session = undefined;
    throw error;
  });
  if (Date.parse(known.expiresAt) - Date.now() > RENEW_BEFORE_MS) return known;
  session = post<Session>("/session");
  return session;
}

/** Ask our own server for the address at which a person connects an account. */
export async function connectUrl(): Promise<string> {
  return (await post<{ startUrl: string }>("/connect")).startUrl;
}

/** Call the service; throws a Problem. */
export async function call<Result>(
  method: "GET" | "POST" | "DELETE",
  path: string,
  body?: object,
): Promise<Result> {
  const { token, url } = await signedIn();
  const headers = new Headers({ Authorization: `Bearer ${token}` });
  if (body !== undefined) headers.set("Content-Type", "application/json");
  if (method === "POST" && path === "/v1/jobs") headers.set("Idempotency-Key", crypto.randomUUID());
  const answer = await fetch(url + path, {
    method,
    headers,
    ...(body === undefined ? {} : { body: JSON.stringify(body) }),
  });
  return read<Result>(answer);
}

/** Follow the project's jobs as they change; `onResync` means: read the list. */
export async function follow(onJob: (job: Job) => void, onResync: () => void): Promise<never> {
  let lastId: string | undefined;
  for (;;) {
    try {
      const { token, url, projectId } = await signedIn();
      const headers = new Headers({ Authorization: `Bearer ${token}` });
      if (lastId !== undefined) headers.set("Last-Event-ID", lastId);
      const answer = await fetch(`${url}/v1/jobs/stream?projectId=${projectId}`, { headers });
      if (answer.body === null || !answer.ok) throw new Error(`HTTP ${answer.status}`);
      for await (const told of events(answer.body)) {
        if (told["id"] !== undefined) lastId = told["id"];
        if (told["event"] === "job") onJob(JSON.parse(told["data"] ?? "") as Job);
        if (told["event"] === "resync") onResync();
        if (told["event"] === "ready" && !told["data"]?.includes("true")) onResync();
      }
    } catch {
      // The connection ended, as it does every ten minutes, or the service is away.
    }
    await new Promise((resolve) => setTimeout(resolve, 1000));
  }
}

async function* events(body: ReadableStream<Uint8Array>): AsyncGenerator<Record<string, string>> {
  const reader = body.pipeThrough(new TextDecoderStream() as never).getReader();
  let rest = "";
  for (let chunk = await reader.read(); !chunk.done; chunk = await reader.read()) {
    const blocks = (rest + String(chunk.value)).split("\n\n");
    rest = blocks.pop() ?? "";
    for (const block of blocks) {
      const fields = block.split("\n").map((line) => /^([^:]*):? ?(.*)$/.exec(line) ?? []);
      yield Object.fromEntries(fields.map(([, name = "", value = ""]) => [name, value]));
    }
  }
}

async function post<Result>(path: string): Promise<Result> {
  const headers = { "Content-Type": "application/json" };
  return read<Result>(await fetch(path, { method: "POST", headers, body: "{}" }));
}

async function read<Result>(answer: Response): Promise<Result> {
  const text = await answer.text();
  const body = (text === "" ? {} : JSON.parse(text)) as Record<string, unknown>;
  if (answer.ok) return body as Result;
  const fields = (body["errors"] as { pointer: string; detail: string }[] | undefined) ?? [];
  const detail = fields.map((each) => each.detail).join(" ") || String(body["detail"] ?? "");
  throw new Problem(answer.status, String(body["code"] ?? ""), detail);
}
