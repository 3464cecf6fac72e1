/** Puts the page together. */

import { connectUrl, follow, Problem } from "./api.js";
import * as compose from "./compose.js";
import { find, say } from "./elements.js";
import * as posts from "./posts.js";

async function start(): Promise<void> {
  tellOfConnecting(new URLSearchParams(location.search));
  find("connect", HTMLButtonElement).addEventListener("click", () => {
    void connectUrl().then((url) => location.assign(url));
  });
  compose.prepare(posts.take);
  posts.prepare();
  await compose.showCreator();
  await posts.readAll();
  void follow(posts.take, () => void posts.readAll());
}

function tellOfConnecting(query: URLSearchParams): void {
  if (query.get("status") === "connected") say("Your TikTok account is connected.");
  if (query.get("status") === "error") {
    say(`TikTok did not connect (${query.get("code") ?? "unknown"}). Please try again.`, "error");
  }
  if (query.has("status")) history.replaceState(null, "", location.pathname);
}

start().catch((error: unknown) => {
  say(error instanceof Problem ? error.message : "Something went wrong. Reload the page.", "error");
});
