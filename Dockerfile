# The service as an image: one image, and `serve` (by default), `worker`, `migrate` or any other verb of `zanari`.
#
#     docker build --build-arg VERSION=1.4.0 --build-arg COMMIT="$(git rev-parse HEAD)" --tag zanari:1.4.0 .
#
# PYTHON_IMAGE is a Debian with python3 and its venv module. The default is of the Python that the tests run on; a
# pipeline that has looked at one gives its digest (python:...@sha256:...).
#
# Writable paths: none. It runs on a read-only root file system; /tmp is only asked for by `zanari simulate`.
ARG PYTHON_IMAGE=python:3.11.14-slim-bookworm

FROM ${PYTHON_IMAGE} AS build
WORKDIR /build
# What builds has an environment of its own, and the one that is shipped never has pip in it.
COPY requirements.txt requirements-build.txt ./
RUN --mount=type=cache,id=zanari-pip,target=/root/.cache/pip \
    python3 -m venv /opt/build \
    && /opt/build/bin/pip install --quiet --require-hashes --requirement requirements-build.txt \
    && python3 -m venv --without-pip /opt/zanari \
    && /opt/build/bin/pip --python /opt/zanari/bin/python install --quiet --require-hashes \
        --requirement requirements.txt
COPY pyproject.toml ./
COPY zanari_api zanari_api
COPY supabase/bootstrap.sql supabase/bootstrap.sql
COPY supabase/migrations supabase/migrations
COPY container/alive.py /opt/zanari/alive.py
RUN /opt/build/bin/python -m hatchling build --target wheel --directory dist \
    && /opt/build/bin/pip --python /opt/zanari/bin/python install --quiet --no-index --no-deps dist/*.whl

FROM ${PYTHON_IMAGE}
# Nothing can be installed into a running container: pip goes, and what could bring it back.
RUN find / -xdev \( -path '*/site-packages/pip' -o -path '*/site-packages/pip-*' -o -path '*/ensurepip' \
        -o -path '*/site-packages/setuptools*' -o -path '*/site-packages/wheel*' -o -path '*/python-wheels' \
        -o -path '*/bin/pip*' -o -path '*/bin/wheel' \) -prune -exec rm -rf {} +
COPY --from=build /opt/zanari /opt/zanari

ARG VERSION=unknown
ARG COMMIT=unknown
LABEL org.opencontainers.image.title="zanari" \
      org.opencontainers.image.description="Round-up savings on M-PESA spends: API, worker and migrations" \
      org.opencontainers.image.version="${VERSION}" \
      org.opencontainers.image.revision="${COMMIT}" \
      zanari.writable-paths=""

ENV PATH=/opt/zanari/bin:/usr/local/bin:/usr/bin:/bin \
    HOME=/nonexistent \
    PYTHONDONTWRITEBYTECODE=1 \
    PYTHONUNBUFFERED=1 \
    APP_VERSION=${VERSION} \
    HOST=0.0.0.0 \
    PORT=8000 \
    WORKER_PORT=8001
EXPOSE 8000 8001
USER 10001:10001
WORKDIR /opt/zanari
# A request in flight is let come to its end, within twenty-five seconds: give it thirty before it is killed.
STOPSIGNAL SIGTERM
HEALTHCHECK --interval=15s --timeout=5s --start-period=30s --retries=3 \
    CMD ["/opt/zanari/bin/python", "-I", "/opt/zanari/alive.py"]
ENTRYPOINT ["/opt/zanari/bin/zanari"]
CMD ["serve"]
