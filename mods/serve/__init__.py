"""`mods serve`: DEEPaaS's own application with what it lacks.

Health and readiness, metrics, JSON errors with a request's identifier, an API
key, TLS, limits on size, time and on how many wait, structured logs, a stop
that lets requests end, and workers that survive being killed.  `docs/service.md`
tells the decisions.
"""

from __future__ import annotations
