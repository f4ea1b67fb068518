# What runs in a cluster: a pack by its environment in, records out.
#   docker build --tag sweep-trainer --build-arg TORCH_INDEX=... .
#   docker build --tag sweep-client --build-arg TORCH_INDEX=... --build-arg ROLE=client .
ARG PYTHON=python:3.11-slim-bookworm

# Apart from the rest of pyproject.toml, which changes oftener.
FROM ${PYTHON} AS requirements
COPY pyproject.toml ./
RUN python -c 'import tomllib; \
  project = tomllib.load(open("pyproject.toml", "rb"))["project"]; \
  extras = project["optional-dependencies"]; \
  client = extras["lstm"] + extras["cluster"] + extras["report"] + extras["server"]; \
  print(*project["dependencies"], *extras["worker"], sep="\n", file=open("/trainer.txt", "w")); \
  print(*dict.fromkeys(client), sep="\n", file=open("/client.txt", "w"))'

FROM ${PYTHON} AS code
WORKDIR /build
ENV PIP_CONSTRAINT=/build/constraints.txt
COPY . .
RUN python -m pip wheel --no-cache-dir --no-deps --wheel-dir /wheels .

# All are wheels: a stage that compiles would only be copied, and torch lie on the disk twice.
FROM ${PYTHON}
# cuda: Triton compiles its kernels where they run, and so needs a C compiler and Python's headers.
ARG VARIANT=cpu
RUN test "$VARIANT" != cuda || { apt-get update \
  && apt-get install --yes --no-install-recommends gcc libc6-dev \
  && { test -e "$(python -c 'import sysconfig; print(sysconfig.get_path("include"))')/Python.h" \
    || apt-get install --yes --no-install-recommends python3-dev; } \
  && rm -rf /var/lib/apt/lists/* /var/cache/apt/*; }
RUN useradd --uid 10001 --user-group --create-home --home-dir /work sweep \
  && python -m venv --without-pip /opt/sweep
# The index of PyTorch's CPU builds makes it a tenth of the size. Empty: what pip finds, with CUDA.
ARG TORCH_INDEX=""
# What it is made of stays beside it.
COPY --from=requirements /trainer.txt /opt/sweep/
COPY constraints.txt /opt/sweep/
RUN python -m pip --python /opt/sweep/bin/python install --no-cache-dir \
  ${TORCH_INDEX:+--extra-index-url "$TORCH_INDEX"} \
  --constraint /opt/sweep/constraints.txt --requirement /opt/sweep/trainer.txt

# trainer: what a pod needs to train. client: the launcher, reports and MLflow's server besides, on
# top of the same layers.
ARG ROLE=trainer
COPY --from=requirements /client.txt /opt/sweep/
RUN test "$ROLE" = trainer || python -m pip --python /opt/sweep/bin/python install --no-cache-dir \
  ${TORCH_INDEX:+--extra-index-url "$TORCH_INDEX"} \
  --constraint /opt/sweep/constraints.txt --requirement /opt/sweep/client.txt
# What changes with every commit comes last, and is small. The arguments stand before the RUN, and
# the wheel is copied, not mounted: else Buildah takes the layers of an earlier build for these.
COPY --from=code /wheels /opt/sweep/wheels
ARG SWEEP_BUILD_ID=""
ARG SWEEP_VERSION=""
ARG SWEEP_GIT_SHA=""
RUN python -m pip --python /opt/sweep/bin/python install --no-cache-dir --no-deps \
  /opt/sweep/wheels/*.whl
ENV SWEEP_BUILD_ID=$SWEEP_BUILD_ID SWEEP_VERSION=$SWEEP_VERSION SWEEP_GIT_SHA=$SWEEP_GIT_SHA
LABEL org.opencontainers.image.title="sweep" \
  org.opencontainers.image.licenses="Apache-2.0" \
  org.opencontainers.image.version=$SWEEP_VERSION \
  org.opencontainers.image.revision=$SWEEP_GIT_SHA \
  sweep.build-id=$SWEEP_BUILD_ID
# The root is read-only in a pod, and /tmp an emptyDir: kernels are compiled into it.
ENV PATH=/opt/sweep/bin:$PATH PYTHONUNBUFFERED=1 \
  TRITON_CACHE_DIR=/tmp/triton TORCHINDUCTOR_CACHE_DIR=/tmp/inductor
WORKDIR /work
USER 10001:10001
ENTRYPOINT ["python", "-m", "sweep.worker"]
