"""Webhooks to frontends: endpoints, the outbox, deliveries."""
