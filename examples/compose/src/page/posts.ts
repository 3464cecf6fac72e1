/** The posts: a list, and the week as a calendar; both follow what happens. */

import { call, Problem, signedIn, type Job } from "./api.js";
import { find, make, say } from "./elements.js";
import { timeOf } from "./times.js";

const jobs = new Map<string, Job>();
let monday = startOfWeek(new Date());

const WORDS: Record<Job["status"], string> = {
  scheduled: "Scheduled",
  processing: "Posting",
  retrying: "Trying again",
  posted: "Posted",
  failed: "Failed",
};

/** Read what the list and the week show. */
export async function readAll(): Promise<void> {
  const { projectId } = await signedIn();
  const newest = await call<{ items: Job[] }>("GET", `/v1/jobs?projectId=${projectId}&limit=50`);
  const window = new URLSearchParams({
    projectId,
    limit: "200",
    scheduledFrom: monday.toISOString(),
    scheduledTo: daysAfter(monday, 7).toISOString(),
  });
  const week = await call<{ items: Job[] }>("GET", `/v1/jobs?${window}`);
  jobs.clear();
  for (const job of [...week.items, ...newest.items]) jobs.set(job.id, job);
  show();
}

/** Put a job in the place of what was known of it. */
export function take(job: Job): void {
  jobs.set(job.id, job);
  show();
}

/** Wire the buttons of the calendar. */
export function prepare(): void {
  const move = (days: number) => () => {
    monday = daysAfter(monday, days);
    void readAll();
  };
  find("week-before", HTMLButtonElement).addEventListener("click", move(-7));
  find("week-after", HTMLButtonElement).addEventListener("click", move(7));
}

function show(): void {
  const sorted = [...jobs.values()].sort((a, b) => b.scheduledFor.localeCompare(a.scheduledFor));
  find("posts", HTMLUListElement).replaceChildren(...sorted.map(row));
  find("no-posts", HTMLElement).hidden = sorted.length > 0;
  showWeek(sorted);
}

function row(job: Job): HTMLLIElement {
  const item = make("li", { className: "post" });
  item.dataset["status"] = job.status;
  item.dataset["id"] = job.id;
  const state = make("span", { className: "state" }, WORDS[job.status]);
  const title = make("strong", {}, job.post.title || "Without a caption");
  const when = make("time", { dateTime: job.scheduledFor }, shown(new Date(job.scheduledFor)));
  item.append(make("div", { className: "post-head" }, state, title, when));
  const risks = job.status === "scheduled" ? (job.readiness?.problems ?? []) : [];
  const texts = [job.notice, ...risks.map(({ message }) => message)];
  for (const text of texts) if (text) item.append(make("p", { className: "notice" }, text));
  item.append(make("div", { className: "actions" }, ...actions(job)));
  return item;
}

function actions(job: Job): Node[] {
  const name = job.post.title || "post without a caption";
  const button = (text: string, path: string) => {
    const made = make("button", { type: "button", ariaLabel: `${text}: ${name}` }, text);
    made.addEventListener("click", () => void act(job, path, made));
    return made;
  };
  if (job.postUrl) {
    return [make("a", { href: job.postUrl, target: "_blank", rel: "noreferrer" }, "Open on TikTok")];
  }
  if (job.status === "scheduled" || job.status === "retrying") return [button("Cancel", "cancel")];
  if (job.status === "failed") return [button("Try again", "retry")];
  return [];
}

async function act(job: Job, path: string, button: HTMLButtonElement): Promise<void> {
  button.disabled = true;
  try {
    take(await call<Job>("POST", `/v1/jobs/${job.id}/${path}`, {}));
    say("");
  } catch (error) {
    if (!(error instanceof Problem)) throw error;
    say(error.message, "error");
    button.disabled = false;
  }
}

function showWeek(sorted: Job[]): void {
  const days = [...Array(7).keys()].map((day) => daysAfter(monday, day));
  const last = days[6] ?? monday;
  find("week-name", HTMLElement).textContent = `${dayOf(monday)} – ${dayOf(last)}`;
  const cells = days.map((day) => {
    const of = sorted.filter((job) => isSameDay(new Date(job.scheduledFor), day)).reverse();
    const entries = of.map((job) => {
      const entry = make("li", {}, `${timeOf(new Date(job.scheduledFor))} ${job.post.title || "…"}`);
      entry.dataset["status"] = job.status;
      entry.title = WORDS[job.status];
      return entry;
    });
    const heading = make("h3", {}, dayOf(day));
    return make("section", { className: "day" }, heading, make("ul", {}, ...entries));
  });
  find("week", HTMLElement).replaceChildren(...cells);
}

function startOfWeek(moment: Date): Date {
  return daysAfter(moment, -((moment.getDay() + 6) % 7));
}

/** Midnight so many days after; a day on which clocks change has no 24 hours. */
function daysAfter(day: Date, days: number): Date {
  return new Date(day.getFullYear(), day.getMonth(), day.getDate() + days);
}

function isSameDay(one: Date, other: Date): boolean {
  return one.toDateString() === other.toDateString();
}

function dayOf(day: Date): string {
  return day.toLocaleDateString(undefined, { weekday: "short", day: "numeric", month: "short" });
}

function shown(moment: Date): string {
  return `${dayOf(moment)}, ${timeOf(moment)}`;
}
