"""What Vercel serves; docs/deploy/cron.md says where it belongs."""

from app.logs import configure_logging
from app.main import create_app
from app.settings import RunnerMode, load

# Between requests a function is frozen, and a runner inside it with its posts.
settings = load(runner=RunnerMode.CRON)
configure_logging(settings.log_format, settings.log_level)
app = create_app(settings)
