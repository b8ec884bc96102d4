# Image of a node: it joins the Master at PROTEINX_MASTER with the token in PROTEINX_TOKEN.
#   docker build -f deploy/node.Dockerfile -t proteinx-node:0.2.0 .
# PIP_ARGS: where PyTorch comes from, where it is not the default: the build without CUDA is a tenth of the size.
FROM python:3.11-slim AS build
ARG PIP_ARGS=""
WORKDIR /source
COPY pyproject.toml constraints.txt README.md LICENSE ./
COPY proteinx_pipelines proteinx_pipelines
RUN python -m venv /opt/proteinx \
    && /opt/proteinx/bin/pip install --no-cache-dir --constraint constraints.txt ${PIP_ARGS} ".[objects,postgres,dask,structure,png]"

FROM python:3.11-slim
RUN useradd --system --uid 10001 --user-group --home-dir /data --no-create-home proteinx \
    && install -d -o proteinx -g proteinx /data
COPY --from=build /opt/proteinx /opt/proteinx
ENV PATH=/opt/proteinx/bin:$PATH \
    HOME=/data \
    PYTHONUNBUFFERED=1 \
    PROTEINX_WORKDIR=/data \
    PROTEINX_METRICS_ADDRESS=0.0.0.0:9464
WORKDIR /data
VOLUME /data
USER 10001:10001
# Metrics (PROTEINX_METRICS_ADDRESS).
EXPOSE 9464
HEALTHCHECK --interval=15s --timeout=10s --start-period=180s --retries=4 \
    CMD ["python", "-c", "import urllib.request as u; u.urlopen('http://127.0.0.1:9464/metrics', timeout=8)"]
STOPSIGNAL SIGTERM
ENTRYPOINT ["proteinx"]
CMD ["node", "--no-web"]
