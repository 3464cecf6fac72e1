/**
 * Jobs as they change, from the service's server-sent events.
 *
 * With `fetch`, because a browser's `EventSource` cannot send the key and a key has no place in
 * a URL. Connections end, at the latest after ten minutes; this goes on where it was.
 */

import type { Job } from "./client.js";

export type Told =
  | { event: "ready"; resumed: boolean } // unless resumed, read the list now
  | { event: "job"; job: Job }
  | { event: "resync" }; // too much changed at once: read the list now

type Line = { name: string; value: string };
type Fields = { event?: string; data?: string; id?: string; retry?: string };

export async function* watchJobs(options: {
  baseUrl: string;
  key: string;
  projectId: string;
  signal: AbortSignal;
}): AsyncGenerator<Told> {
  const url = new URL("/v1/jobs/stream", options.baseUrl);
  url.searchParams.set("projectId", options.projectId);
  let lastId: string | undefined;
  let wait = 1000;
  while (!options.signal.aborted) {
    try {
      const headers = new Headers({ Authorization: `Bearer ${options.key}` });
      if (lastId !== undefined) headers.set("Last-Event-ID", lastId);
      const response = await fetch(url, { headers, signal: options.signal });
      if (response.status >= 400 && response.status < 500) throw new Refused(response.status);
      if (!response.ok || response.body === null) throw new Error(`HTTP ${response.status}`);
      for await (const fields of events(response.body)) {
        if (fields.id !== undefined) lastId = fields.id;
        if (fields.retry !== undefined) wait = Number(fields.retry);
        const told = understood(fields);
        if (told !== undefined) yield told;
      }
    } catch (error) {
      if (options.signal.aborted) return;
      if (error instanceof Refused) throw error; // asking again would not help
    }
    await new Promise((resolve) => setTimeout(resolve, wait));
  }
}

class Refused extends Error {
  constructor(status: number) {
    super(`the stream was refused with HTTP ${status}`);
  }
}

function understood({ event, data }: Fields): Told | undefined {
  if (event === undefined || data === undefined) return undefined;
  switch (event) {
    case "ready":
      return { event, resumed: (JSON.parse(data) as { resumed: boolean }).resumed };
    case "job":
      return { event, job: JSON.parse(data) as Job };
    case "resync":
      return { event };
    default:
      return undefined; // of a later version of the service
  }
}

async function* events(body: ReadableStream<Uint8Array>): AsyncGenerator<Fields> {
  let fields: Fields = {};
  for await (const { name, value } of lines(body)) {
    if (name === "event" || name === "data" || name === "id" || name === "retry") {
      fields[name] = value;
    } else if (name === "" && value === "") {
      yield fields;
      fields = {};
    }
  }
}

async function* lines(body: ReadableStream<Uint8Array>): AsyncGenerator<Line> {
  const reader = body.getReader();
  const decoder = new TextDecoder();
  let rest = "";
  for (let chunk = await reader.read(); !chunk.done; chunk = await reader.read()) {
    const found = (rest + decoder.decode(chunk.value, { stream: true })).split("\n");
    rest = found.pop() ?? "";
    for (const line of found) {
      const [, name = "", value = ""] = /^([^:]*)(?:: ?(.*))?$/.exec(line) ?? [];
      yield { name, value };
    }
  }
}
