# progan with everything that a training run needs. The CUDA libraries come with torch's packages.
#
#   docker build -t progan .
#   docker run --gpus all --ipc=host -v "$PWD:/runs" progan train cifar10-32 data.path=/runs/c10
#
# Another CUDA version, or none: an index of torch's packages (pytorch.org/get-started says which)
#   docker build --build-arg TORCH_INDEX=URL -t progan .
ARG PYTHON=3.12.12-slim-bookworm

FROM python:${PYTHON} AS build
ARG TORCH_INDEX=
ENV PIP_NO_CACHE_DIR=1 PIP_DISABLE_PIP_VERSION_CHECK=1
# First what changes rarely, so that a change in progan does not download torch again.
RUN python -m venv /opt/progan \
    && /opt/progan/bin/pip install ${TORCH_INDEX:+--index-url "$TORCH_INDEX"} torch torchvision
COPY pyproject.toml README.md LICENSE /src/
COPY pipeline /src/pipeline
COPY stages /src/stages
COPY launch /src/launch
COPY datasets /src/datasets
RUN /opt/progan/bin/pip install "/src[dask,lmdb,remote]"

FROM python:${PYTHON}
COPY --from=build /opt/progan /opt/progan
RUN useradd --create-home --uid 1000 progan && install -d -o progan -g progan /runs
ENV PATH=/opt/progan/bin:$PATH
USER 1000
WORKDIR /runs
ENTRYPOINT ["progan"]
CMD ["doctor"]
