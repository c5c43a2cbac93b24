# One image for every Airflow component and for `psflow migrate`, from the same lock as the local stack.
FROM python:3.12-slim

ENV AIRFLOW_HOME=/opt/airflow \
    AIRFLOW__CORE__DAGS_FOLDER=/opt/psflow/dags \
    AIRFLOW__CORE__LOAD_EXAMPLES=False \
    GX_ANALYTICS_ENABLED=false \
    PSFLOW_CONFIG=/opt/psflow/psflow.yaml \
    PYTHONUNBUFFERED=1

RUN useradd --uid 50000 --gid 0 --create-home --home-dir /opt/airflow airflow \
    && mkdir -p /opt/airflow/logs && chown -R airflow:0 /opt/airflow && chmod -R g=u /opt/airflow

WORKDIR /opt/psflow
COPY requirements.lock ./
RUN pip install --no-cache-dir --no-deps --require-hashes -r requirements.lock

COPY pyproject.toml README.md LICENSE psflow.yaml ./
COPY include include
COPY plugins plugins
COPY expectations expectations
# hooks, operators and the plugin register by entry point, so no plugins folder is configured
RUN pip install --no-cache-dir --no-deps --no-build-isolation .
COPY dags dags

USER airflow
WORKDIR /opt/airflow
CMD ["airflow", "version"]
