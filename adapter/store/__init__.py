"""The database: tables, connections, migrations and reads. Dialect differences live here and nowhere else."""
