/**
 * TikTok's rules for the page on which a post is written. Pure: values in, values out.
 *
 * https://developers.tiktok.com/doc/content-sharing-guidelines
 */

export type Creator = {
  creatorNickname: string;
  creatorUsername: string;
  creatorAvatarUrl: string;
  privacyLevelOptions: string[];
  commentDisabled: boolean;
  duetDisabled: boolean;
  stitchDisabled: boolean;
  maxVideoPostDurationSec: number | null;
};

/** What the person chose. `allow…` are ticks: off until the person sets them. */
export type Draft = {
  videoUrl: string;
  title: string;
  privacyLevel: string | null;
  allowComment: boolean;
  allowDuet: boolean;
  allowStitch: boolean;
  discloses: boolean;
  ownBrand: boolean;
  paidPartnership: boolean;
  isAigc: boolean;
};

export const EMPTY: Draft = {
  videoUrl: "",
  title: "",
  privacyLevel: null,
  allowComment: false,
  allowDuet: false,
  allowStitch: false,
  discloses: false,
  ownBrand: false,
  paidPartnership: false,
  isAigc: false,
};

const TITLE_UNITS = 2200;

const AUDIENCES: Record<string, string> = {
  PUBLIC_TO_EVERYONE: "Everyone",
  MUTUAL_FOLLOW_FRIENDS: "Friends",
  FOLLOWER_OF_CREATOR: "Followers",
  SELF_ONLY: "Only me",
};

export type Audience = { value: string; label: string; disabled: boolean; why: string };

/** The audiences that TikTok offers this creator; none of them is chosen beforehand. */
export function audiences(creator: Creator, draft: Draft): Audience[] {
  return creator.privacyLevelOptions.map((value) => {
    const disabled = value === "SELF_ONLY" && draft.discloses && draft.paidPartnership;
    return {
      value,
      label: AUDIENCES[value] ?? value,
      disabled,
      why: disabled ? "Branded content visibility cannot be set to private." : "",
    };
  });
}

export type Toggle = { disabled: boolean; why: string };

/** Whether a kind of interaction can be allowed: not where the creator turned it off. */
export function toggles(creator: Creator): Record<"comment" | "duet" | "stitch", Toggle> {
  const toggle = (disabled: boolean, name: string): Toggle => ({
    disabled,
    why: disabled ? `You turned ${name} off in your TikTok settings.` : "",
  });
  return {
    comment: toggle(creator.commentDisabled, "comments"),
    duet: toggle(creator.duetDisabled, "Duet"),
    stitch: toggle(creator.stitchDisabled, "Stitch"),
  };
}

/** The label that TikTok will show, said while the person chooses. */
export function labelNote(draft: Draft): string {
  if (!draft.discloses) return "";
  if (draft.paidPartnership) return "Your video will be labeled as “Paid partnership”.";
  if (draft.ownBrand) return "Your video will be labeled as “Promotional content”.";
  return "";
}

export type Consent = { text: string; href: string }[];

/** What the person agrees to by posting. */
export function consent(draft: Draft): Consent {
  const music = {
    text: "Music Usage Confirmation",
    href: "https://www.tiktok.com/legal/page/global/music-usage-confirmation/en",
  };
  const branded = {
    text: "Branded Content Policy",
    href: "https://www.tiktok.com/legal/page/global/bc-policy/en",
  };
  return draft.discloses && draft.paidPartnership ? [branded, music] : [music];
}

/** What still keeps the post from being sent; empty if nothing does. */
export function missing(creator: Creator, draft: Draft): string[] {
  const found: string[] = [];
  if (draft.videoUrl.trim() === "") found.push("Choose a video.");
  if (draft.title.length > TITLE_UNITS) {
    found.push(`The caption has ${draft.title.length} characters; TikTok takes ${TITLE_UNITS}.`);
  }
  const offered = audiences(creator, draft).find(({ value }) => value === draft.privacyLevel);
  if (offered === undefined) found.push("Choose who can see this video.");
  else if (offered.disabled) found.push(offered.why);
  if (draft.discloses && !draft.ownBrand && !draft.paidPartnership) {
    found.push("Say if your content promotes yourself, a third party, or both.");
  }
  return found;
}

/** Why this creator may not post this video; empty if nothing is known against it. */
export function tooLong(creator: Creator, seconds: number | null): string {
  const most = creator.maxVideoPostDurationSec;
  if (seconds === null || most === null || seconds <= most) return "";
  return `The video is ${Math.ceil(seconds)} seconds long; this account may post ${most}.`;
}

/** The post as the service takes it: its switches turn off what ours allow. */
export function postOf(draft: Draft): object {
  return {
    mode: "direct",
    title: draft.title,
    privacyLevel: draft.privacyLevel,
    disableComment: !draft.allowComment,
    disableDuet: !draft.allowDuet,
    disableStitch: !draft.allowStitch,
    brandOrganicToggle: draft.discloses && draft.ownBrand,
    brandContentToggle: draft.discloses && draft.paidPartnership,
    isAigc: draft.isAigc,
  };
}
