"""Everything that leaves: metrics, HTTP, the page, pagers, topics and webhooks."""
