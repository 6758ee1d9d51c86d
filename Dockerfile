# progan with everything that a training run needs. The CUDA libraries come with torch's packages.
#
#   docker build -t progan .
#   docker run --gpus all --ipc=host -v "$PWD:/runs" progan train cifar10-32 data.path=/runs/c10
#
# Another CUDA version, or none: an index of torch's packages (pytorch.org/get-started says which)
#   docker build --build-arg TORCH_INDEX=URL -t progan .
# Other optional packages than those below (pyproject.toml lists them), and what the labels say
#   docker build --build-arg EXTRAS=metrics,video -t progan .
#   docker build --build-arg VERSION=0.1.0 --build-arg REVISION="$(git rev-parse HEAD)" -t progan .
ARG PYTHON=3.12.12-slim-bookworm

FROM python:${PYTHON} AS build
ARG TORCH_INDEX=
ARG EXTRAS=dask,lmdb,remote
ENV PIP_NO_CACHE_DIR=1 PIP_DISABLE_PIP_VERSION_CHECK=1
# First what changes rarely, so that a change in progan downloads nothing again: torch, then the other
# dependencies that pyproject.toml lists, then progan itself; all in the versions of requirements.lock.
COPY requirements.lock /src/
ENV PIP_CONSTRAINT=/src/requirements.lock
RUN python -m venv /opt/progan \
    && /opt/progan/bin/pip install ${TORCH_INDEX:+--index-url "$TORCH_INDEX"} torch torchvision
COPY pyproject.toml /src/
RUN python -c 'import sys, tomllib; \
project = tomllib.load(open("/src/pyproject.toml", "rb"))["project"]; \
extras = [project["optional-dependencies"][name] for name in sys.argv[1].split(",") if name]; \
print(*project["dependencies"], *sum(extras, []), sep="\n")' "$EXTRAS" > /opt/requirements.txt \
    && /opt/progan/bin/pip install --requirement /opt/requirements.txt
COPY README.md LICENSE /src/
COPY .imports /src/.imports
COPY pipeline /src/pipeline
COPY stages /src/stages
COPY launch /src/launch
COPY datasets /src/datasets
RUN /opt/progan/bin/pip install "/src[$EXTRAS]"

FROM python:${PYTHON}
# torch.compile (engine.compile) compiles C++ on CPUs, and the launchers of its kernels on GPUs.
# hadolint ignore=DL3008
RUN apt-get update \
    && apt-get install --yes --no-install-recommends g++ \
    && rm -rf /var/lib/apt/lists/*
RUN useradd --create-home --uid 1000 progan && install -d -o progan -g progan /runs
COPY --from=build /opt/progan /opt/progan
ENV PATH=/opt/progan/bin:$PATH
ARG VERSION=
ARG REVISION=
LABEL org.opencontainers.image.title="progan" \
      org.opencontainers.image.description="Progressive growing of GANs, 4x4 to 1024x1024" \
      org.opencontainers.image.licenses="MIT" \
      org.opencontainers.image.version="${VERSION}" \
      org.opencontainers.image.revision="${REVISION}"
USER 1000
WORKDIR /runs
ENTRYPOINT ["progan"]
CMD ["doctor"]
