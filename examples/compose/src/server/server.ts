/**
 * The page's own small server. It holds the API key, which never reaches a browser: the page gets
 * a token for one project, good for an hour. Put your sign-in before `session`.
 */

import { readFile } from "node:fs/promises";
import { createServer, type IncomingMessage, type ServerResponse } from "node:http";
import { extname, join, normalize } from "node:path";
import { fileURLToPath } from "node:url";

const SCHEDULER = required("SCHEDULER_URL");
const KEY = required("SCHEDULER_KEY");
const PROJECT = required("PROJECT_ID");
const PORT = Number(process.env["PORT"] ?? "3000");
const ORIGIN = process.env["ORIGIN"] ?? `http://127.0.0.1:${PORT}`;
const SAMPLE_VIDEO = process.env["SAMPLE_VIDEO"] ?? "";
const HOME = join(fileURLToPath(new URL(".", import.meta.url)), "..", "..");
const TOKEN_SECONDS = 3600;

const TYPES: Record<string, string> = {
  ".css": "text/css; charset=utf-8",
  ".html": "text/html; charset=utf-8",
  ".js": "text/javascript; charset=utf-8",
};

const POLICY = [
  "default-src 'none'",
  "script-src 'self'",
  "style-src 'self'",
  `connect-src 'self' ${SCHEDULER}`,
  "img-src 'self' https: http: data:",
  "media-src https: http:",
  "base-uri 'none'",
  "form-action 'none'",
  "frame-ancestors 'none'",
].join("; ");

createServer((request, response) => {
  answer(request, response).catch((error: unknown) => {
    console.error(error);
    send(response, 502, { detail: "The scheduler does not answer." });
  });
}).listen(PORT, "127.0.0.1", () => console.log(`The compose page is at ${ORIGIN}`));

async function answer(request: IncomingMessage, response: ServerResponse): Promise<void> {
  const path = new URL(request.url ?? "/", ORIGIN).pathname;
  if (request.method === "POST") {
    // A form of somebody else's page cannot send JSON without the browser asking us first.
    if (request.headers["content-type"] !== "application/json") {
      return send(response, 415, { detail: "JSON, please." });
    }
    if (path === "/session") return session(response);
    if (path === "/connect") return connect(response);
  }
  if (request.method === "GET") return file(path, response);
  send(response, 404, { detail: "Not found." });
}

/** Give the page a token for its project, and the address to use it at. */
async function session(response: ServerResponse): Promise<void> {
  const found = await scheduler(`/v1/projects/${PROJECT}/browser-token`, {
    ttlSeconds: TOKEN_SECONDS,
    access: "compose",
  });
  const known = { url: SCHEDULER, projectId: PROJECT, sampleVideo: SAMPLE_VIDEO };
  send(response, found.status, { ...found.body, ...known });
}

/** Begin to connect an account; only this browser may finish it. */
async function connect(response: ServerResponse): Promise<void> {
  const found = await scheduler(`/v1/projects/${PROJECT}/accounts/tiktok/connect`, {
    redirectTo: `${ORIGIN}/`,
    bind: true,
  });
  send(response, found.status, found.body);
}

async function scheduler(path: string, body: object) {
  const answered = await fetch(SCHEDULER + path, {
    method: "POST",
    headers: { Authorization: `Bearer ${KEY}`, "Content-Type": "application/json" },
    body: JSON.stringify(body),
  });
  return { status: answered.status, body: (await answered.json()) as object };
}

async function file(path: string, response: ServerResponse): Promise<void> {
  const name = path === "/" ? "/index.html" : normalize(path);
  const folder = extname(name) === ".js" ? join("dist", "page") : "public";
  const type = TYPES[extname(name)];
  if (type === undefined || name.includes("..")) return send(response, 404, {});
  try {
    const content = await readFile(join(HOME, folder, name));
    response.writeHead(200, { ...HEADERS, "Content-Type": type });
    response.end(content);
  } catch {
    send(response, 404, { detail: "Not found." });
  }
}

const HEADERS = {
  "Cache-Control": "no-store",
  "Content-Security-Policy": POLICY,
  "Referrer-Policy": "no-referrer",
  "X-Content-Type-Options": "nosniff",
};

function send(response: ServerResponse, status: number, body: object): void {
  response.writeHead(status, { ...HEADERS, "Content-Type": "application/json" });
  response.end(JSON.stringify(body));
}

function required(name: string): string {
  const value = process.env[name];
  if (!value) throw new Error(`${name} is not set`);
  return value.replace(/\/$/, "");
}
