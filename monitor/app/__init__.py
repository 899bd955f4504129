"""The composition root: settings, roles, the loop, the commands."""
