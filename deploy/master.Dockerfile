# Image of the Master; PROTEINX_TOKEN and REDIS_URL come from outside.
#   docker build -f deploy/master.Dockerfile -t proteinx-master:0.2.0 .
# PIP_ARGS: where PyTorch comes from, where it is not the default: the build without CUDA is a tenth of the size.
FROM python:3.11-slim AS build
ARG PIP_ARGS=""
WORKDIR /source
COPY pyproject.toml constraints.txt README.md LICENSE ./
COPY proteinx_pipelines proteinx_pipelines
RUN python -m venv /opt/proteinx \
    && /opt/proteinx/bin/pip install --no-cache-dir --constraint constraints.txt ${PIP_ARGS} ".[objects,postgres,search,structure]"

FROM python:3.11-slim
RUN useradd --system --uid 10001 --user-group --home-dir /data --no-create-home proteinx \
    && install -d -o proteinx -g proteinx /data
COPY --from=build /opt/proteinx /opt/proteinx
ENV PATH=/opt/proteinx/bin:$PATH \
    HOME=/data \
    PYTHONUNBUFFERED=1 \
    PROTEINX_WORKDIR=/data \
    PROTEINX_MASTER_HOST=0.0.0.0 \
    PROTEINX_MASTER_PORT=8000
WORKDIR /data
VOLUME /data
USER 10001:10001
# Pages, HTTP and metrics.
EXPOSE 8000
HEALTHCHECK --interval=15s --timeout=10s --start-period=60s --retries=4 \
    CMD ["python", "-c", "import urllib.request as u; u.urlopen('http://127.0.0.1:8000/readyz', timeout=8)"]
STOPSIGNAL SIGTERM
ENTRYPOINT ["proteinx"]
CMD ["master"]
