"""What becomes of a post by itself, long after its init: scripted by hand."""

from pydantic import Field

from app.sandbox.faults import ToldBy
from app.sandbox.lifecycle import add_ids, fail, new_ids, publish
from app.sandbox.posts import Post
from app.sandbox.settings import Camel
from app.sandbox.state import Sandbox
from app.sandbox.webhooks import notify


class Ids(Camel):
    """Give a post public ids, late."""

    count: int = Field(default=1, ge=0, le=10)
    post_ids: tuple[int, ...] | None = None
    """The ids themselves; without them so many are made up."""
    told_by: ToldBy = "both"

    def apply(self, sandbox: Sandbox, post: Post) -> None:
        """Give it the ids."""
        made_up = self.post_ids is None
        ids = new_ids(sandbox, self.count) if made_up else self.post_ids or ()
        add_ids(sandbox, post, ids, told_by=self.told_by)


class Finish(Ids):
    """Publish a draft, as its person does in TikTok's app; or end a stuck post well.

    May come several times: each time the draft becomes one more post.
    """

    def apply(self, sandbox: Sandbox, post: Post) -> None:
        """Publish it, and give it ids."""
        publish(sandbox, post, tell=self.told_by in ("both", "webhook"))
        super().apply(sandbox, post)


class Fail(Camel):
    """End a post badly."""

    reason: str = Field(min_length=1)
    tell: bool = True

    def apply(self, sandbox: Sandbox, post: Post) -> None:
        """Fail it."""
        fail(sandbox, post, self.reason, tell=self.tell)


class Discard(Fail):
    """Throw a draft away, as its person can; TikTok documents no reason of its own."""

    reason: str = Field(default="publish_cancelled", min_length=1)


class Withdraw(Camel):
    """Take a post down: it is not public any more."""

    post_id: int | None = None
    """The id that the event names; without it, the post's first."""
    spelling: str = Field(default="publicaly", pattern="^(publicaly|publicly)$")
    """TikTok writes publicaly; the correct spelling must be understood, too."""
    status_keeps_id: bool = True
    tell: bool = True

    def apply(self, sandbox: Sandbox, post: Post) -> None:
        """Withdraw it."""
        post.withdrawn = True
        if not self.status_keeps_id:
            post.withheld |= frozenset(post.post_ids)
        named = post.post_id if self.post_id is None else self.post_id
        more = {} if named is None else {"post_id": str(named)}
        if self.tell:
            event = f"post.publish.no_longer_{self.spelling}_available"
            notify(sandbox, event, post, **more)


Act = Ids | Finish | Fail | Discard | Withdraw
ACTS: dict[str, type[Act]] = {
    "finish": Finish,
    "discard": Discard,
    "fail": Fail,
    "ids": Ids,
    "withdraw": Withdraw,
}
"""What can be done to a post, by the last part of the route's path."""
