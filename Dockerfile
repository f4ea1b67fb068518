# The trainer of a pod: a pack by its environment in, records out. CPU variant.
#   docker build --tag sweep-trainer --build-arg TORCH_INDEX=... .
ARG PYTHON=python:3.11-slim-bookworm

# Apart from the rest of pyproject.toml, which changes oftener.
FROM ${PYTHON} AS requirements
COPY pyproject.toml ./
RUN python -c 'import tomllib; \
  project = tomllib.load(open("pyproject.toml", "rb"))["project"]; \
  print(*project["dependencies"], *project["optional-dependencies"]["worker"], sep="\n")' \
  >/requirements.txt

FROM ${PYTHON} AS code
WORKDIR /build
ENV PIP_CONSTRAINT=/build/constraints.txt
COPY . .
RUN python -m pip wheel --no-cache-dir --no-deps --wheel-dir /wheels .

FROM ${PYTHON}
# Name the index of PyTorch's CPU builds here: a tenth of the size. Empty: what pip finds, with CUDA.
ARG TORCH_INDEX=""
RUN useradd --uid 10001 --user-group --create-home --home-dir /work sweep \
  && python -m venv --without-pip /opt/sweep
# What it is made of stays beside it. All are wheels: a stage with compilers would only be copied.
COPY --from=requirements /requirements.txt /opt/sweep/
COPY constraints.txt /opt/sweep/
RUN python -m pip --python /opt/sweep/bin/python install --no-cache-dir \
  ${TORCH_INDEX:+--extra-index-url "$TORCH_INDEX"} \
  --constraint /opt/sweep/constraints.txt --requirement /opt/sweep/requirements.txt
# What changes with every commit comes last, and is small. The arguments stand before the RUN, and
# the wheel is copied, not mounted: else Buildah takes the layers of an earlier build for these.
COPY --from=code /wheels /opt/sweep/wheels
ARG SWEEP_BUILD_ID=""
ARG SWEEP_VERSION=""
ARG SWEEP_GIT_SHA=""
RUN python -m pip --python /opt/sweep/bin/python install --no-cache-dir --no-deps \
  /opt/sweep/wheels/*.whl
ENV SWEEP_BUILD_ID=$SWEEP_BUILD_ID SWEEP_VERSION=$SWEEP_VERSION SWEEP_GIT_SHA=$SWEEP_GIT_SHA
LABEL org.opencontainers.image.title="sweep trainer" \
  org.opencontainers.image.licenses="Apache-2.0" \
  org.opencontainers.image.version=$SWEEP_VERSION \
  org.opencontainers.image.revision=$SWEEP_GIT_SHA \
  sweep.build-id=$SWEEP_BUILD_ID
ENV PATH=/opt/sweep/bin:$PATH PYTHONUNBUFFERED=1
WORKDIR /work
USER 10001:10001
ENTRYPOINT ["python", "-m", "sweep.worker"]
