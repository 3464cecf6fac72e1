import assert from "node:assert/strict";
import { test } from "node:test";

import { audiences, consent, EMPTY, labelNote, missing, postOf, toggles, tooLong } from "./page/rules.js";

const creator = {
  creatorNickname: "Shop",
  creatorUsername: "shop",
  creatorAvatarUrl: "",
  privacyLevelOptions: ["PUBLIC_TO_EVERYONE", "SELF_ONLY"],
  commentDisabled: true,
  duetDisabled: false,
  stitchDisabled: false,
  maxVideoPostDurationSec: 60,
};
const ready = { ...EMPTY, videoUrl: "https://cdn.example.com/v.mp4", privacyLevel: "SELF_ONLY" };

test("nothing is allowed, disclosed or chosen beforehand", () => {
  assert.equal(EMPTY.privacyLevel, null);
  assert.ok(!EMPTY.allowComment && !EMPTY.allowDuet && !EMPTY.allowStitch && !EMPTY.discloses);
  assert.deepEqual(missing(creator, EMPTY), ["Choose a video.", "Choose who can see this video."]);
});

test("exactly what TikTok offers can be chosen", () => {
  assert.deepEqual(audiences(creator, EMPTY).map(({ value }) => value), creator.privacyLevelOptions);
  assert.equal(missing(creator, { ...ready, privacyLevel: "MUTUAL_FOLLOW_FRIENDS" }).length, 1);
  assert.deepEqual(missing(creator, ready), []);
});

test("what the creator turned off cannot be allowed", () => {
  assert.equal(toggles(creator).comment.disabled, true);
  assert.equal(toggles(creator).duet.disabled, false);
});

test("a disclosure names what is promoted, and branded content is never private", () => {
  assert.equal(missing(creator, { ...ready, discloses: true }).length, 1);
  const branded = { ...ready, discloses: true, paidPartnership: true };
  assert.deepEqual(missing(creator, branded), ["Branded content visibility cannot be set to private."]);
  assert.match(labelNote(branded), /Paid partnership/);
  assert.match(labelNote({ ...ready, discloses: true, ownBrand: true }), /Promotional content/);
  assert.equal(consent(branded).length, 2);
  assert.equal(consent(ready).length, 1);
});

test("a disclosure that was turned off again sends no label", () => {
  const post = postOf({ ...ready, discloses: false, paidPartnership: true, ownBrand: true });
  assert.deepEqual(
    [Reflect.get(post, "brandContentToggle"), Reflect.get(post, "brandOrganicToggle")],
    [false, false],
  );
});

test("a video longer than this creator may post is refused with both numbers", () => {
  assert.match(tooLong(creator, 61.2), /62 seconds long; this account may post 60/);
  assert.equal(tooLong(creator, 60), "");
  assert.equal(tooLong(creator, null), "");
});
