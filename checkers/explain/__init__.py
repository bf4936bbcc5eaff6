"""Operations, versions and anomalies in words."""
