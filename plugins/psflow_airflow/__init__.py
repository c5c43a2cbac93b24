"""How does Airflow run it? Hooks, operators per system and per process, and what Airflow is told about them."""
