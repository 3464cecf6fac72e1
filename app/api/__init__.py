"""The HTTP edge: routes, authentication, middleware, problems."""

import sys

# FastAPI asks of each field whether it is a model of Pydantic's first version, which it
# does without if there is none. There is no such model, and to load it all for that
# question took a thirtieth of a start.
sys.modules.setdefault("pydantic.v1", None)  # type: ignore[arg-type]
