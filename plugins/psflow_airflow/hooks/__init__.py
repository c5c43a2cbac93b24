"""An Airflow connection becomes an adapter or the store, and nothing else."""
