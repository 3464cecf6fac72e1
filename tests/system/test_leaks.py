"""What looks for secrets at the end of every site finds them."""

from tests.system.site import CRON_SECRET, Site


async def test_a_secret_in_the_open_is_found(site: Site) -> None:
    """In a log, in a file, in a table: tokens and secrets are named by their place."""
    await site.post()
    assert await site.leaks() == []
    (pair,) = (
        grant
        for grant in site.tiktok.sandbox.accounts.current.values()
        if grant.open_id == "proj_1"
    )
    log = site.programs.directory / "0.err"
    log.write_text(f"{CRON_SECRET} {pair.access_token} {pair.refresh_token}")
    assert len(await site.leaks()) == 3
    log.unlink()
