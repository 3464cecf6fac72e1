"""The HTTP edge: routes, authentication, middleware, problems."""
