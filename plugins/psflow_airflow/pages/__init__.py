"""What do people see? Pages for the PMO inside Airflow: engagements, trace, exceptions, gates. No outside hosts."""
