# The image of API and worker: the packages that they need, tesseract for scans, and nothing of the page's (that is Dockerfile.page).
#
#   docker build -t openbook .                         CPU, with the packaged models: no torch
#   docker build -t openbook --build-arg TORCH=1 .     torch as well, for encoders and models by name; with CUDA
#
# Every Python package is pinned with its hashes. The base is pinned by you: BASE=python:3.11-slim-bookworm@sha256:… is the same image
# each time, and APT_SNAPSHOT=20261101T000000Z takes Debian's packages as they were on that day.
ARG BASE=python:3.11-slim-bookworm

FROM ${BASE} AS packages
ENV PIP_NO_CACHE_DIR=1 PIP_DISABLE_PIP_VERSION_CHECK=1 PYTHONDONTWRITEBYTECODE=1
RUN python -m venv /opt/openbook
ENV PATH=/opt/openbook/bin:$PATH
WORKDIR /app
COPY requirements/ requirements/
ARG TORCH=""
# torch first and by itself: its default build brings CUDA; TORCH_INDEX chooses another, smaller one.
ARG TORCH_INDEX=""
RUN if [ -n "${TORCH}" ]; then \
      pip install ${TORCH_INDEX:+--index-url ${TORCH_INDEX}} -r requirements/torch.txt \
      && pip install --no-deps --require-hashes -r requirements/lock.txt; \
    else pip install --no-deps --require-hashes -r requirements/server.txt; fi
COPY . .
RUN pip install --no-deps --no-build-isolation --editable . && python -m models.packaged --quiet

FROM ${BASE}
# Language data for scanned pages; the library itself comes with the packages. TESSERACT_LANGUAGES="deu fra" adds others.
ARG TESSERACT_LANGUAGES=""
ARG APT_SNAPSHOT=""
RUN if [ -n "${APT_SNAPSHOT}" ]; then \
      sed -i -E "s#http://deb.debian.org/(debian|debian-security)\$#http://snapshot.debian.org/archive/\1/${APT_SNAPSHOT}#" /etc/apt/sources.list.d/debian.sources \
      && echo 'Acquire::Check-Valid-Until "false";' > /etc/apt/apt.conf.d/99snapshot; fi \
 && apt-get update \
 && apt-get install -y --no-install-recommends tesseract-ocr-eng tesseract-ocr-osd \
    $(for l in ${TESSERACT_LANGUAGES}; do echo tesseract-ocr-$l; done) \
 && rm -rf /var/lib/apt/lists/* /var/log/apt /var/log/dpkg.log \
 && useradd --uid 10001 --no-create-home openbook \
 && mkdir /data /cache && chown 10001:10001 /data /cache
COPY --from=packages /opt/openbook /opt/openbook
COPY --from=packages /app /app
ENV PATH=/opt/openbook/bin:$PATH PYTHONUNBUFFERED=1 PYTHONDONTWRITEBYTECODE=1 HOME=/tmp XDG_CACHE_HOME=/cache OPENBOOK_DATA_DIR=/data
WORKDIR /app
USER 10001
VOLUME ["/data", "/cache"]
EXPOSE 8000
CMD ["openbook", "serve", "--no-ui", "--data-dir", "/data"]
