/**
 * What a frontend does, without a page: connect an account, schedule a post, double-click
 * Post Now, watch both until they are posted, and repeat a request whose answer got lost.
 * Runs against the simulator; see run.py.
 */

import assert from "node:assert/strict";

import { type Client, type Job, type NewJob, ProblemError, schedulerClient, unwrap } from "./client.js";
import { type Told, watchJobs } from "./watch.js";

const PATIENCE = 60_000; // ms
const baseUrl = setting("SCHEDULER_URL");
const key = setting("SCHEDULER_KEY");
const assetUrl = setting("VIDEO_URL");
const projectId = "proj_typescript";

// One for each thing that a person asks for, kept until its answer has come.
const once = { header: { "Idempotency-Key": crypto.randomUUID() } };

const client = schedulerClient(baseUrl, key);

await connectAccount(client);
await refusesNonsense(client);

const patience = AbortSignal.timeout(PATIENCE);
const done = new AbortController();
const watching = watchUntilPosted(2, AbortSignal.any([patience, done.signal]));

const scheduled = await schedule(client);
const now = await doubleClick(client);

const posted = await watching;
done.abort();
assert.deepEqual(new Set(posted.keys()), new Set([scheduled.id, now.id]));
for (const job of posted.values()) checkIds(job);
await repeat(client, now);
say("all is well");

/** Send the person to TikTok's consent page, and come back with an account. */
async function connectAccount(client: Client): Promise<void> {
  const params = { path: { projectId } };
  const begun = unwrap(
    await client.POST("/v1/projects/{projectId}/accounts/tiktok/connect", { params, body: {} }),
  );
  // In a browser: location.href = begun.authorizeUrl. The simulator approves at once.
  const back = await fetch(begun.authorizeUrl, { redirect: "follow" });
  assert.equal(back.status, 200, await back.text());
  const account = unwrap(await client.GET("/v1/projects/{projectId}/accounts/tiktok", { params }));
  assert.equal(account.status, "active");
  say(`connected ${account.displayName ?? account.openId}`);
}

/** Errors are problems with a stable code, and name the field. */
async function refusesNonsense(client: Client): Promise<void> {
  const body = { ...newJob("asset_0"), scheduledFor: "tomorrow" };
  const answer = await client.POST("/v1/jobs", { body });
  assert.throws(
    () => unwrap(answer),
    (error) => error instanceof ProblemError && error.problem.errors?.[0]?.pointer === "/scheduledFor",
  );
}

/** Schedule a post; the same request again finds the same job. */
async function schedule(client: Client): Promise<Job> {
  const at = new Date(Date.now() + 3000);
  const body = { ...newJob("asset_1"), scheduledFor: at.toISOString() };
  const job = unwrap(await client.POST("/v1/jobs", { body }));
  assert.equal(job.scheduledFor, at.toISOString(), "times come back as JavaScript writes them");
  assert.equal(new Date(job.scheduledFor).toISOString(), job.scheduledFor);

  const again = await client.POST("/v1/jobs", { body });
  assert.equal(again.response.status, 200);
  assert.equal(again.response.headers.get("Idempotent-Replayed"), "true");
  assert.equal(unwrap(again).id, job.id);
  say(`scheduled ${job.id} for ${job.scheduledFor}`);
  return job;
}

/** Click Post Now twice: one job, one post. The key makes a repeat safe for ever. */
async function doubleClick(client: Client): Promise<Job> {
  const click = () => client.POST("/v1/jobs", { body: newJob("asset_2"), params: once });
  const clicks = await Promise.all([click(), click()]);
  assert.deepEqual(clicks.map((click) => click.response.status).sort(), [200, 201]);
  const [first, second] = clicks.map(unwrap);
  assert.ok(first !== undefined && first.id === second?.id, "a double click makes one job");
  assert.equal(first.postNow, true);
  say(`Post Now, clicked twice: ${first.id}. ${first.notice ?? ""}`);
  return first;
}

/** Send Post Now again, long after it was posted, as a client does whose answer got lost. */
async function repeat(client: Client, first: Job): Promise<void> {
  const again = await client.POST("/v1/jobs", { body: newJob("asset_2"), params: once });
  assert.equal(again.response.status, 200);
  const job = unwrap(again);
  assert.deepEqual([job.id, job.status], [first.id, "posted"]);
  const { items } = unwrap(
    await client.GET("/v1/jobs/{id}/history", { params: { path: { id: job.id } } }),
  );
  for (const item of items) say(`  ${item.at} ${item.text}`);
}

/** Follow the project's jobs until so many are posted. */
async function watchUntilPosted(count: number, signal: AbortSignal): Promise<Map<string, Job>> {
  const posted = new Map<string, Job>();
  for await (const told of watchJobs({ baseUrl, key, projectId, signal })) {
    for (const job of await jobsOf(told)) {
      say(`  ${job.assetId} is ${job.status}${job.notice === null ? "" : `: ${job.notice}`}`);
      assert.notEqual(job.status, "failed", job.lastError?.userMessage);
      if (job.status === "posted") posted.set(job.id, job);
    }
    if (posted.size === count) return posted;
  }
  throw new Error(`${posted.size} of ${count} posted within ${PATIENCE / 1000} s`);
}

async function jobsOf(told: Told): Promise<Job[]> {
  if (told.event === "job") return [told.job];
  if (told.event === "ready" && told.resumed) return [];
  const query = { projectId };
  return unwrap(await client.GET("/v1/jobs", { params: { query } })).items;
}

/** TikTok's ids exceed 2^53: as numbers they would come out wrong. */
function checkIds(job: Job): void {
  assert.equal(typeof job.publishId, "string");
  assert.ok(job.postId !== null && /^\d+$/.test(job.postId), "a public post has its id");
  assert.ok(BigInt(job.postId) > BigInt(Number.MAX_SAFE_INTEGER));
  assert.ok(job.postUrl?.endsWith(job.postId));
  say(`  ${job.assetId} is at ${job.postUrl}`);
}

function newJob(assetId: string): NewJob {
  return {
    projectId,
    assetId,
    assetUrl,
    post: { title: "Hello from TypeScript", privacyLevel: "PUBLIC_TO_EVERYONE" },
  };
}

function setting(name: string): string {
  const value = process.env[name];
  if (value === undefined) throw new Error(`${name} is not set`);
  return value;
}

function say(text: string): void {
  console.log(text);
}
