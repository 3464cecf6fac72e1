/** A typed client: every path, body and answer comes from the service's own OpenAPI document. */

import createClient from "openapi-fetch";

import type { components, paths } from "./api.js";

export type Job = components["schemas"]["JobAnswer"];
export type NewJob = components["schemas"]["JobRequest"];
export type Problem = components["schemas"]["Problem"];

/** An error of the service. Programs look at `problem.code`, people read `problem.detail`. */
export class ProblemError extends Error {
  constructor(readonly problem: Problem) {
    super(`${problem.status} ${problem.code}: ${problem.detail}`);
    this.name = "ProblemError";
  }
}

export function schedulerClient(baseUrl: string, key: string) {
  return createClient<paths>({ baseUrl, headers: { Authorization: `Bearer ${key}` } });
}

export type Client = ReturnType<typeof schedulerClient>;

/** Give an answer's data, or throw its problem. */
export function unwrap<Data>(answer: { data?: Data; error?: Problem; response: Response }): Data {
  if (answer.error !== undefined) throw new ProblemError(answer.error);
  if (answer.data === undefined) throw new Error(`${answer.response.url} answered nothing`);
  return answer.data;
}
