"""Redis: a primary with replicas and Sentinel, or a lone primary, spoken to by RESP 2."""
