# progan with everything a training run needs. The CUDA libraries come with torch's own packages.
#
#   docker build -t progan .
#   docker run --gpus all --ipc=host -v "$PWD:/runs" progan train cifar10-32 data.path=/runs/c10
FROM python:3.12-slim-bookworm

COPY . /src
RUN pip install --no-cache-dir /src && rm -rf /src

RUN useradd --create-home progan
USER progan
WORKDIR /runs
ENTRYPOINT ["progan"]
