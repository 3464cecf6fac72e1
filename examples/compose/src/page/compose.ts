/** The form on which a post is written. */

import { call, Problem, signedIn, type Job } from "./api.js";
import { find, make, say } from "./elements.js";
import {
  audiences,
  consent,
  EMPTY,
  labelNote,
  missing,
  postOf,
  toggles,
  tooLong,
  type Creator,
  type Draft,
} from "./rules.js";
import { clockChange } from "./times.js";

type Validation = {
  ok: boolean;
  problems: { message: string; severity: "error" | "warning" }[];
  media: { durationSeconds?: number | null } | null;
};

let creator: Creator | undefined;
let videoProblem = "";

const form = () => find("compose", HTMLFormElement);
const checkbox = (id: string) => find(id, HTMLInputElement);

/** Ask TikTok what this creator may choose, as its guidelines want it each time. */
export async function showCreator(): Promise<boolean> {
  const { projectId, sampleVideo } = await signedIn();
  const path = `/v1/projects/${projectId}/accounts/tiktok/creator-info`;
  try {
    creator = await call<Creator>("GET", path);
  } catch (error) {
    if (!(error instanceof Problem)) throw error;
    creator = undefined;
    find("connect-panel", HTMLElement).hidden = !isUnconnected(error);
    form().hidden = true;
    if (!isUnconnected(error)) say(error.message, "error");
    return false;
  }
  find("connect-panel", HTMLElement).hidden = true;
  find("creator-name", HTMLElement).textContent = creator.creatorNickname;
  find("creator-handle", HTMLElement).textContent = `@${creator.creatorUsername}`;
  const picture = find("creator-picture", HTMLImageElement);
  picture.hidden = creator.creatorAvatarUrl === "";
  picture.onerror = () => (picture.hidden = true); // its address lives for two hours
  if (!picture.hidden) picture.src = creator.creatorAvatarUrl;
  form().hidden = false;
  const video = find("video-url", HTMLInputElement);
  if (video.value === "") video.value = sampleVideo;
  update();
  return true;
}

function isUnconnected(error: Problem): boolean {
  return ["account_not_connected", "not_found", "reconnect_required"].includes(error.code);
}

/** Wire the form; `onMade` gets each job that was made. */
export function prepare(onMade: (job: Job) => void): void {
  form().addEventListener("input", update);
  find("video-url", HTMLInputElement).addEventListener("change", () => void check());
  form().addEventListener("submit", (event) => {
    event.preventDefault();
    const later = event.submitter?.id === "schedule";
    void send(later).then((job) => job && onMade(job));
  });
}

function drafted(): Draft {
  const privacy = find("privacy", HTMLSelectElement).value;
  return {
    videoUrl: find("video-url", HTMLInputElement).value,
    title: find("title", HTMLTextAreaElement).value,
    privacyLevel: privacy === "" ? null : privacy,
    allowComment: checkbox("allow-comment").checked,
    allowDuet: checkbox("allow-duet").checked,
    allowStitch: checkbox("allow-stitch").checked,
    discloses: checkbox("discloses").checked,
    ownBrand: checkbox("own-brand").checked,
    paidPartnership: checkbox("paid-partnership").checked,
    isAigc: checkbox("is-aigc").checked,
  };
}

function update(): void {
  if (creator === undefined) return;
  const draft = drafted();
  showAudiences(creator, draft);
  for (const [name, toggle] of Object.entries(toggles(creator))) {
    const box = checkbox(`allow-${name}`);
    box.disabled = toggle.disabled;
    if (toggle.disabled) box.checked = false;
    find(`allow-${name}-why`, HTMLElement).textContent = toggle.why;
  }
  find("disclosure", HTMLElement).hidden = !draft.discloses;
  find("label-note", HTMLElement).textContent = labelNote(draft);
  showConsent(draft);
  find("when-note", HTMLElement).textContent = clockChange(find("when", HTMLInputElement).value);
  find("title-count", HTMLElement).textContent = `${draft.title.length} of 2200`;
  showPreview(draft);
  const problems = [...missing(creator, draft), ...(videoProblem ? [videoProblem] : [])];
  find("missing", HTMLUListElement).replaceChildren(
    ...problems.map((each) => make("li", {}, each)),
  );
  for (const id of ["post-now", "schedule"]) {
    find(id, HTMLButtonElement).disabled = problems.length > 0;
  }
}

function showAudiences(known: Creator, draft: Draft): void {
  const select = find("privacy", HTMLSelectElement);
  const offered = audiences(known, draft);
  const options = offered.map(({ value, label, disabled }) =>
    make("option", { value, disabled, selected: value === draft.privacyLevel }, label),
  );
  const nothing = make("option", { value: "", selected: draft.privacyLevel === null }, "Choose …");
  select.replaceChildren(nothing, ...options);
  const why = offered.find(({ disabled }) => disabled)?.why ?? "";
  find("privacy-why", HTMLElement).textContent = why;
}

function showConsent(draft: Draft): void {
  const links = consent(draft).flatMap(({ text, href }, index) => [
    index > 0 ? " and " : "",
    make("a", { href, target: "_blank", rel: "noreferrer" }, text),
  ]);
  find("consent", HTMLElement).replaceChildren("By posting, you agree to TikTok’s ", ...links, ".");
}

function showPreview(draft: Draft): void {
  const video = find("preview", HTMLVideoElement);
  if (video.dataset["url"] !== draft.videoUrl) {
    video.dataset["url"] = draft.videoUrl;
    if (/^https?:\/\//.test(draft.videoUrl)) video.src = draft.videoUrl;
  }
  find("preview-title", HTMLElement).textContent = draft.title;
}

/** Let the service look at the video: how long it is, and what TikTok would say of it. */
async function check(): Promise<void> {
  const draft = drafted();
  videoProblem = "";
  if (creator === undefined || draft.videoUrl === "" || draft.privacyLevel === null) return update();
  try {
    const found = await call<Validation>("POST", "/v1/jobs/validate", await jobOf(draft));
    videoProblem =
      tooLong(creator, found.media?.durationSeconds ?? null) ||
      (found.problems.find(({ severity }) => severity === "error")?.message ?? "");
  } catch (error) {
    if (!(error instanceof Problem)) throw error;
    videoProblem = error.message;
  }
  update();
}

async function send(later: boolean): Promise<Job | undefined> {
  await check();
  if (videoProblem) return undefined;
  const draft = drafted();
  const when = find("when", HTMLInputElement).value;
  if (later && when === "") {
    say("Choose a day and a time first.", "error");
    return undefined;
  }
  const scheduledFor = later ? new Date(when).toISOString() : null;
  try {
    const job = await call<Job>("POST", "/v1/jobs", { ...(await jobOf(draft)), scheduledFor });
    // What is true only for a moment stands in the list, which is live.
    const done = later ? "Scheduled. After posting" : "Sent. Its state is shown below;";
    say(`${done} it may take a few minutes until it is on the profile.`);
    reset();
    return job;
  } catch (error) {
    if (!(error instanceof Problem)) throw error;
    say(error.message, "error");
    return undefined;
  }
}

async function jobOf(draft: Draft): Promise<object> {
  const { projectId } = await signedIn();
  return {
    projectId,
    assetId: await assetId(draft.videoUrl),
    assetUrl: draft.videoUrl,
    post: postOf(draft),
  };
}

/** A name for the video: the same video has the same one, so a double click makes one post. */
async function assetId(url: string): Promise<string> {
  const digest = await crypto.subtle.digest("SHA-256", new TextEncoder().encode(url));
  return [...new Uint8Array(digest)].slice(0, 12).map((byte) => byte.toString(16).padStart(2, "0")).join("");
}

function reset(): void {
  const video = find("video-url", HTMLInputElement).value;
  form().reset();
  find("video-url", HTMLInputElement).value = video;
  find("title", HTMLTextAreaElement).value = EMPTY.title;
  update();
}
