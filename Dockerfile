FROM python:3.13-slim-bookworm AS build
ENV PIP_NO_CACHE_DIR=1 PIP_DISABLE_PIP_VERSION_CHECK=1
WORKDIR /src
RUN python -m venv /opt/oracle
COPY deploy/runtime.lock deploy/runtime.lock
RUN /opt/oracle/bin/pip install --require-hashes -r deploy/runtime.lock
COPY pyproject.toml README.md ./
COPY deploy/demo.toml deploy/demo.toml
COPY methodology methodology
COPY oracle oracle
RUN /opt/oracle/bin/pip install --no-deps . \
    && /opt/oracle/bin/pip uninstall --yes pip \
    && find /opt/oracle -name __pycache__ -prune -exec rm -rf {} +

FROM python:3.13-slim-bookworm
COPY --from=build /opt/oracle /opt/oracle
COPY deploy/oracle.toml /etc/oracle/oracle.toml
RUN install --directory --owner=65532 --group=65532 --mode=0700 /var/lib/oracle
# Inside a container 127.0.0.1 is nobody's; publish only the ports that are meant to be reached.
ENV PATH=/opt/oracle/bin:$PATH \
    PYTHONDONTWRITEBYTECODE=1 \
    PYTHONUNBUFFERED=1 \
    ORACLE_CONFIG=/etc/oracle/oracle.toml \
    ORACLE_SERVICE__HOST=0.0.0.0 \
    ORACLE_SERVICE__DATA_DIR=/var/lib/oracle \
    ORACLE_METRICS__HOST=0.0.0.0 \
    ORACLE_ENGINE_FEED__HOST=0.0.0.0
USER 65532:65532
WORKDIR /var/lib/oracle
VOLUME ["/var/lib/oracle"]
EXPOSE 8080 8081 8082
STOPSIGNAL SIGTERM
HEALTHCHECK --interval=10s --timeout=5s --start-period=60s --retries=3 \
    CMD ["oracle", "health", "--url", "http://127.0.0.1:8080"]
ENTRYPOINT ["oracle"]
CMD ["run"]
